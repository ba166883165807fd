//! The host's log.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::LevelFilter;

use crate::sync::lock;

/// Log levels; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogLevel {
    /// Everything.
    Trace = 0,
    /// For developers.
    Debug = 1,
    /// What happens.
    Info = 2,
    /// What is not as it should be.
    Warn = 3,
    /// What failed.
    Error = 4,
    /// What ended the VM.
    Critical = 5,
}

impl LogLevel {
    /// Whether a guest that has set this level for the crate `log` logs a line of this one. One that has
    /// set none logs by another way, as its panic hook does.
    pub(crate) fn passes(self, set: LevelFilter) -> bool {
        let least = match set {
            LevelFilter::Trace => Self::Trace,
            LevelFilter::Debug => Self::Debug,
            LevelFilter::Info => Self::Info,
            LevelFilter::Warn => Self::Warn,
            LevelFilter::Error => Self::Error,
            LevelFilter::Off => Self::Trace,
        };
        self >= least
    }

    pub(crate) fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Trace),
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warn),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

/// The thread of Envoy that something happens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Thread {
    /// The main thread: it configures plugins first and serves no requests.
    Main,
    /// A worker, counted from zero.
    Worker(usize),
}

/// `main` or `worker 0`
impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Worker(index) => write!(f, "worker {index}"),
        }
    }
}

/// One line that a filter logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Its level.
    pub level: LogLevel,
    /// Where the filter ran.
    pub thread: Thread,
    /// The name of the filter; empty while the VM starts.
    pub filter: String,
    /// What it said.
    pub message: String,
    /// The stream that the filter was busy with.
    pub(crate) stream: Option<u64>,
}

/// `[info] jwt (worker 0): 3 rules`
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = format!("{:?}", self.level).to_lowercase();
        let Self {
            filter,
            thread,
            message,
            ..
        } = self;
        write!(f, "[{level}] {filter} ({thread}): {message}")
    }
}

/// The lines at or above the host's level.
#[derive(Debug)]
pub(crate) struct Logs {
    level: LogLevel,
    lines: Mutex<Vec<LogLine>>,
    /// How many lines there were when the test last called the host.
    mark: AtomicUsize,
}

impl Logs {
    pub(crate) fn new(level: LogLevel) -> Self {
        Self {
            level,
            lines: Mutex::default(),
            mark: AtomicUsize::new(0),
        }
    }

    pub(crate) fn level(&self) -> LogLevel {
        self.level
    }

    pub(crate) fn push(&self, line: LogLine) {
        if line.level >= self.level {
            lock(&self.lines).push(line);
        }
    }

    /// The test calls the host.
    pub(crate) fn set_mark(&self) {
        self.mark.store(lock(&self.lines).len(), Ordering::Relaxed);
    }

    pub(crate) fn mark(&self) -> usize {
        self.mark.load(Ordering::Relaxed)
    }

    /// The lines about one stream.
    pub(crate) fn of_stream(&self, stream: u64) -> Vec<LogLine> {
        let lines = lock(&self.lines);
        let of_stream = lines.iter().filter(|line| line.stream == Some(stream));
        of_stream.cloned().collect()
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).clone()
    }
}
