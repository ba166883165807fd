//! Starts, watches and ends one Envoy process, and touches no other process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use portcullis_scenarios::placement::Host;

use crate::{artifacts, log};

/// A running Envoy with its log. Dropping it kills Envoy and waits for its exit.
pub(crate) struct Process {
    envoy: Child,
    guard: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command. The log goes to `directory`, which only this Envoy uses.
    pub(crate) fn start(mut command: Command, directory: &Path) -> io::Result<Self> {
        let log = directory.join("envoy.log");
        let mut envoy = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        match guard(envoy.id(), directory) {
            Ok(guard) => Ok(Self { envoy, guard, log }),
            Err(error) => {
                end(&mut envoy);
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.envoy.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.envoy.try_wait()
    }

    /// Envoy's log so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of Envoy's log ---\n{}", log::tail(&self.log()));
        }
        // The guard first, because it must not outlive the process whose id it holds.
        end(&mut self.guard);
        end(&mut self.envoy);
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

/// Ends Envoy when this process ends for any reason: `Drop` does not run for a value in a `static`, nor when a test run
/// is killed. The guard waits on a pipe that only this process holds open.
fn guard(envoy: u32, directory: &Path) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -9 "$1"; rm -rf "$2""#, "guard"])
        .arg(envoy.to_string())
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
