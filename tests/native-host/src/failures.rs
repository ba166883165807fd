//! What goes wrong below a test. It fails the test, unless the test says that it expects it.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::backtrace;
use crate::logs::{LogLine, Logs, Thread};
use crate::sync::lock;

/// The death of a filter's VM: a panic, or a start that it refused when it was reloaded.
///
/// A crash fails the test at the next request, at the next [`Host::advance`](crate::Host::advance),
/// or when the host is dropped. A test that means the filter to crash takes the crash away with
/// [`Host::expect_crash`](crate::Host::expect_crash) or [`Host::crashes`](crate::Host::crashes).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Crash {
    /// The name of the filter; empty while the VM starts.
    pub filter: String,
    /// Where it ran.
    pub thread: Thread,
    /// The callback that did not return, by its name in the ABI: `proxy_on_request_headers`. The
    /// module's initialisation is `_initialize`.
    pub callback: &'static str,
    /// What the panic said, with its place.
    pub message: String,
    /// The frames between the callback and the panic; empty if there was no panic.
    pub backtrace: String,
    /// What was logged since the test last called the host.
    pub logs: Vec<LogLine>,
}

/// `filter "key" crashed in proxy_on_request_headers on worker 0: …`, with backtrace and logs.
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "crashed")
    }
}

impl Crash {
    fn write(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        let Self {
            filter,
            thread,
            callback,
            message,
            ..
        } = self;
        write!(
            f,
            "filter {filter:?} {what} in {callback} on {thread}: {message}"
        )?;
        if !self.backtrace.is_empty() {
            write!(f, "\nbacktrace:\n{}", self.backtrace)?;
        }
        // The message itself was logged, too.
        let mut logs = self.logs.iter().filter(|line| line.message != *message);
        if let Some(first) = logs.next() {
            write!(f, "\nlogged since the test called the host:\n  {first}")?;
            logs.try_for_each(|line| write!(f, "\n  {line}"))?;
        }
        Ok(())
    }
}

/// Something that went wrong, before its backtrace is resolved.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) filter: String,
    pub(crate) thread: Thread,
    pub(crate) callback: &'static str,
    pub(crate) message: String,
    pub(crate) backtrace: Option<Backtrace>,
    /// How many lines had been logged when the test called the host.
    pub(crate) logged_before: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The VM died.
    Crash,
    /// The guest called something that this host does not do, but Envoy does.
    NotEmulated,
}

impl Failure {
    fn into_crash(self, logs: &Logs) -> Crash {
        Crash {
            filter: self.filter,
            thread: self.thread,
            callback: self.callback,
            message: self.message,
            backtrace: self
                .backtrace
                .map(|trace| backtrace::of_the_guest(&trace))
                .unwrap_or_default(),
            logs: logs.lines().split_off(self.logged_before),
        }
    }
}

/// What went wrong on a host and was not reported yet.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    list: Mutex<Vec<Failure>>,
    /// Crashes do not fail the test.
    tolerant: AtomicBool,
}

impl Failures {
    pub(crate) fn tolerating(crashes: bool) -> Self {
        Self {
            list: Mutex::default(),
            tolerant: AtomicBool::new(crashes),
        }
    }

    /// From now on crashes do not fail the test.
    pub(crate) fn tolerate(&self) {
        self.tolerant.store(true, Ordering::Relaxed);
    }

    pub(crate) fn push(&self, failure: Failure) {
        lock(&self.list).push(failure);
    }

    /// Takes the crashes, the first or all of them.
    pub(crate) fn take_crashes(&self, logs: &Logs, only_first: bool) -> Vec<Crash> {
        let mut list = lock(&self.list);
        let mut taken = Vec::new();
        let mut index = 0;
        while index < list.len() && !(only_first && taken.len() == 1) {
            match list[index].kind {
                FailureKind::Crash => taken.push(list.remove(index)),
                FailureKind::NotEmulated => index += 1,
            }
        }
        drop(list);
        taken
            .into_iter()
            .map(|failure| failure.into_crash(logs))
            .collect()
    }

    /// Takes everything that fails the test, as the text to fail it with.
    pub(crate) fn report(&self, logs: &Logs) -> Option<String> {
        let tolerant = self.tolerant.load(Ordering::Relaxed);
        let mut list = lock(&self.list);
        // Tolerated crashes stay, for `crashes()`.
        let (crashes, failures): (Vec<_>, Vec<_>) = std::mem::take(&mut *list)
            .into_iter()
            .partition(|failure| tolerant && failure.kind == FailureKind::Crash);
        *list = crashes;
        drop(list);
        let reports = failures.into_iter().map(Report::of(logs));
        let reports: Vec<_> = reports.map(|report| report.to_string()).collect();
        (!reports.is_empty()).then(|| reports.join("\n\n"))
    }
}

/// A failure as the test's panic shows it.
struct Report {
    kind: FailureKind,
    crash: Crash,
}

impl Report {
    fn of(logs: &Logs) -> impl Fn(Failure) -> Self + '_ {
        |failure| Self {
            kind: failure.kind,
            crash: failure.into_crash(logs),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FailureKind::Crash => write!(
                f,
                "{}\n(if the test means it to crash, let it call Host::expect_crash before it goes on)",
                self.crash
            ),
            FailureKind::NotEmulated => self
                .crash
                .write(f, "called what the native host does not emulate"),
        }
    }
}
