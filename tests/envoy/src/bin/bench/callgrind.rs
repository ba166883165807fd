//! Runs valgrind's callgrind, which counts the instructions of a process.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The instruction counter of one process with all its threads.
pub(crate) struct Callgrind {
    /// For valgrind's output files.
    directory: TempDir,
    /// Number of readings.
    asked: u32,
}

impl Callgrind {
    /// Checks that valgrind is installed. The error says how to install it.
    pub(crate) fn check() -> Result<(), String> {
        // vgdb is a part of valgrind.
        let found = ["valgrind", "vgdb"].iter().all(|program| {
            let mut command = Command::new(program);
            let command = command.arg("--help").stdout(Stdio::null());
            command.stderr(Stdio::null()).status().is_ok()
        });
        let missing = "bench: --instructions runs Envoy under valgrind, which is not here \
                       (Debian: apt install valgrind)";
        found.then_some(()).ok_or_else(|| missing.to_owned())
    }

    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory"),
            asked: 0,
        }
    }

    /// The program, with its arguments, that runs the process.
    pub(crate) fn command(&self) -> Vec<OsString> {
        let file = |option: &str, name| {
            let mut argument = OsString::from(option);
            argument.push(self.file(name));
            argument
        };
        vec![
            "valgrind".into(),
            "--tool=callgrind".into(),
            file("--callgrind-out-file=", "dump"),
            file("--log-file=", "log"),
            file("--vgdb-prefix=", "vgdb"),
            // V8 generates code, and generates it again when it optimises.
            "--smc-check=all-non-file".into(),
            // Without counting, Envoy starts several times faster.
            "--instr-atstart=no".into(),
        ]
    }

    /// Starts counting.
    pub(crate) fn begin(&self, process: u32) {
        self.command_to(process, &["instrumentation", "on"]);
    }

    /// The instructions that the process has executed since the last call, or since [`begin`](Self::begin).
    pub(crate) fn instructions(&mut self, process: u32) -> u64 {
        self.command_to(process, &["dump"]);
        self.asked += 1;
        let dump = fs::read_to_string(self.file(&format!("dump.{}", self.asked)));
        let dump = dump.unwrap_or_else(|error| panic!("valgrind's dump: {error}"));
        let totals = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        let totals = totals.and_then(|totals| totals.trim().parse().ok());
        totals.expect("a dump has its totals")
    }

    fn command_to(&self, process: u32, words: &[&str]) {
        let mut prefix = OsString::from("--vgdb-prefix=");
        prefix.push(self.file("vgdb"));
        let status = Command::new("vgdb")
            .arg(prefix)
            .arg(format!("--pid={process}"))
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("vgdb runs");
        assert!(status.success(), "vgdb {words:?}: {status}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
