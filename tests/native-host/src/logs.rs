//! The host's log.

use std::fmt;
use std::sync::Mutex;

use crate::sync::lock;

/// Log levels; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// The main thread: it configures plugins first and serves no requests.
    Main,
    /// A worker, counted from zero.
    Worker(usize),
}

/// One line that a filter logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: LogLevel,
    /// Where the filter ran.
    pub thread: Thread,
    /// The name of the filter; empty while the VM starts.
    pub filter: String,
    /// What it said.
    pub message: String,
}

/// `[info] jwt (worker 0): 3 rules`
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = format!("{:?}", self.level).to_lowercase();
        let thread = match self.thread {
            Thread::Main => "main".to_owned(),
            Thread::Worker(index) => format!("worker {index}"),
        };
        write!(f, "[{level}] {} ({thread}): {}", self.filter, self.message)
    }
}

/// The lines at or above the host's level.
#[derive(Debug)]
pub(crate) struct Logs {
    level: LogLevel,
    lines: Mutex<Vec<LogLine>>,
}

impl Logs {
    pub(crate) fn new(level: LogLevel) -> Self {
        Self {
            level,
            lines: Mutex::default(),
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

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).clone()
    }
}
