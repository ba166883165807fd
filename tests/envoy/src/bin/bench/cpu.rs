//! Measures CPU time, and assigns cores.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The CPU time of a process, in user and kernel mode, for all its threads, in nanoseconds: `/proc/<pid>/stat` counts in steps of 10 ms.
pub(crate) fn time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let nanoseconds = threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanoseconds)
}

/// Keeps a process, with all threads it has, on one core.
pub(crate) fn pin(process: u32, core: u32) {
    let pinned = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid"])
        .args([core.to_string(), process.to_string()])
        .stdout(Stdio::null())
        .status()
        .expect("taskset, a part of util-linux, runs");
    assert!(pinned.success(), "there is no core {core} to measure on");
}
