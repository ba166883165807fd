//! Starts, watches and ends one process, such as an Envoy, and touches no other process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use portcullis_scenarios::placement::Host;

use crate::{artifacts, log};

/// A running process with its log. Dropping it kills the process and waits for its exit.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    guard: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command. Its log, what it writes to standard error, goes to `directory`, which only this process uses. A
    /// failed test prints the log's end, with the process's `name`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        directory: &Path,
    ) -> io::Result<Self> {
        let log = directory.join("process.log");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        match guard(child.id(), directory) {
            Ok(guard) => Ok(Self {
                name,
                child,
                guard,
                log,
            }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            eprintln!(
                "--- the end of {}'s log ---\n{}",
                self.name,
                log::tail(&log)
            );
        }
        // The guard first, because it must not outlive the process whose id it holds.
        end(&mut self.guard);
        end(&mut self.child);
    }
}

/// The part of Envoy's command line that serving and validating have in common.
pub(crate) fn command(configuration: &Path) -> Command {
    command_under(&[], configuration)
}

/// The same, run by a tool: its program and arguments, or none.
pub(crate) fn command_under(tool: &[OsString], configuration: &Path) -> Command {
    let mut command = match tool.split_first() {
        None => Command::new(artifacts::envoy()),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(artifacts::envoy());
            command
        }
    };
    command
        .arg("--config-path")
        .arg(configuration)
        .args(["--log-format", log::FORMAT])
        .env(
            "ENVOY_DYNAMIC_MODULES_SEARCH_PATH",
            artifacts::search_path(),
        )
        // Several Envoys run at once. Without hot restart, they share nothing.
        .arg("--disable-hot-restart");
    // The tags, merged as the documentation recommends.
    let merged = |file| fs::read_to_string(artifacts::repository().join(file)).unwrap_or_default();
    let mut merged_files = merged("envoy/stats_tags.yaml");
    if Host::chosen() == Host::Library {
        merged_files += &merged("envoy/library_metrics.yaml");
    }
    command.arg("--config-yaml").arg(merged_files);
    command
}

/// Ends a child when this process ends for any reason: `Drop` does not run for a value in a `static`, nor when a test run
/// is killed. The guard waits on a pipe that only this process holds open.
fn guard(child: u32, directory: &Path) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -9 "$1"; rm -rf "$2""#, "guard"])
        .arg(child.to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn end(child: &mut Child) {
    // Both fail only if the process has already been waited for.
    let _ = child.kill();
    let _ = child.wait();
}
