//! The host: what a test builds, sends requests to, and asks afterwards.

use std::fmt;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, SystemTime};

use crate::client::ClientStream;
use crate::failures::Crash;
use crate::filter::Filter;
use crate::logs::{LogLine, Thread};
use crate::message::Request;
use crate::metrics::MetricKind;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::sync::lock;
use crate::threads::Threads;
use crate::worker::Worker;

/// A proxy with a chain of filters, in the test's own process.
///
/// Hosts have nothing in common with each other: tests run in parallel. A host can be shared between
/// threads; each of its workers does one thing at a time, and different workers race.
///
/// A filter that crashes, or that calls something that the host does not emulate, fails the test: at
/// the next request, at the next [`advance`](Self::advance), or when the host is dropped. See
/// [`expect_crash`](Self::expect_crash).
#[derive(Debug)]
pub struct Host {
    pub(crate) threads: Arc<Threads>,
}

/// Why a host does not start, or does not take a new configuration.
#[derive(Clone)]
#[non_exhaustive]
pub struct StartError {
    /// The name of the filter.
    pub filter: String,
    /// What happened.
    pub reason: String,
    /// The crash, if it was one.
    pub crash: Option<Box<Crash>>,
    /// What was logged until then.
    pub logs: Vec<LogLine>,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter {:?}: {}", self.filter, self.reason)?;
        if let Some(crash) = &self.crash {
            write!(f, "\nbacktrace:\n{}", crash.backtrace)?;
        }
        self.logs.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// The same text, which is what a test prints that unwraps the error.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StartError {}

impl Host {
    pub(crate) fn start(
        shared: Arc<Shared>,
        workers: usize,
        filters: Vec<Filter>,
    ) -> Result<Self, StartError> {
        let worker = |thread| Mutex::new(Worker::new(thread, Arc::clone(&shared)));
        let threads = Threads {
            main: worker(Thread::Main),
            workers: (0..workers.max(1))
                .map(|index| worker(Thread::Worker(index)))
                .collect(),
            shared,
        };
        let host = Self {
            threads: Arc::new(threads),
        };
        let started = host.update(filters);
        if started.is_err() {
            // The error says it all.
            host.shared().failures.tolerate();
        }
        started.map(|()| host)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.threads.shared
    }

    /// Puts a new chain of filters in place, as a configuration update does: each new plugin is
    /// tried out, then configured on the main thread, and when all are, on every worker. New
    /// streams get the new chain; open ones keep the old one until they end. Plugins whose
    /// configuration did not change are kept as they are.
    ///
    /// # Errors
    /// If a plugin refuses its configuration or panics over it. The old chain stays then.
    ///
    /// # Panics
    /// If something went wrong before; see [`expect_crash`](Self::expect_crash).
    #[track_caller]
    pub fn update(&self, filters: Vec<Filter>) -> Result<(), StartError> {
        let shared = self.shared();
        shared.begin();
        let filters: Vec<_> = filters.into_iter().map(Arc::new).collect();
        for filter in &filters {
            for event in [
                "vm_reload_backoff",
                "vm_reload_failure",
                "vm_reload_success",
            ] {
                let name = format!("wasm.{}.{event}", filter.name);
                shared.metrics.define(MetricKind::Counter, &name);
            }
        }
        if let Err((filter, reason)) = self.prepare(&filters) {
            let error = StartError {
                filter: filter.name.clone(),
                reason,
                crash: shared
                    .failures
                    .take_crashes(&shared.logs, false)
                    .pop()
                    .map(Box::new),
                logs: self.logs(),
            };
            self.threads
                .all()
                .for_each(|worker| lock(worker).discard_prepared());
            return Err(error);
        }
        self.threads
            .all()
            .for_each(|worker| lock(worker).set_chain(&filters));
        self.threads.run_posted();
        Ok(())
    }

    fn prepare<'a>(&self, filters: &'a [Arc<Filter>]) -> Result<(), (&'a Filter, String)> {
        for filter in filters {
            let mut main = lock(&self.threads.main);
            if !main.has(filter) {
                Worker::try_out(self.shared(), filter)
                    .and_then(|()| main.prepare(filter))
                    .map_err(|refusal| (&**filter, refusal.reason))?;
            }
        }
        for worker in &self.threads.workers {
            for filter in filters {
                let prepared = lock(worker).prepare(filter);
                prepared.map_err(|refusal| (&**filter, refusal.reason))?;
            }
        }
        Ok(())
    }

    /// Sends a request to the first worker and gives what came of it.
    ///
    /// # Panics
    /// If the request is still under way when nothing is left to be done now: it waits for virtual
    /// time to pass, or for a filter that has paused it. Use [`open`](Self::open) then. And if
    /// something went wrong before; see [`expect_crash`](Self::expect_crash).
    #[track_caller]
    pub fn send(&self, request: Request) -> Outcome {
        self.worker(0).send(request)
    }

    /// Sends a request to the first worker, and lets the test go on while it is under way.
    ///
    /// # Panics
    /// If something went wrong before; see [`expect_crash`](Self::expect_crash).
    #[track_caller]
    pub fn open(&self, request: Request) -> ClientStream {
        self.worker(0).open(request)
    }

    /// Like [`open`](Self::open), but more of the request's body is to come.
    ///
    /// # Panics
    /// As [`open`](Self::open) does.
    #[track_caller]
    pub fn open_unfinished(&self, request: Request) -> ClientStream {
        self.worker(0).open_unfinished(request)
    }

    /// One of the workers, counted from zero.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker(&self, index: usize) -> WorkerHandle<'_> {
        let count = self.worker_count();
        assert!(
            index < count,
            "there is no worker {index}: the host has {count}"
        );
        WorkerHandle { host: self, index }
    }

    /// The number of workers.
    pub fn worker_count(&self) -> usize {
        self.threads.workers.len()
    }

    /// Runs this once for each worker, on threads of their own that start together.
    pub fn race(&self, run: impl Fn(WorkerHandle<'_>) + Sync) {
        let start = Barrier::new(self.worker_count());
        std::thread::scope(|scope| {
            for index in 0..self.worker_count() {
                let (run, start) = (&run, &start);
                scope.spawn(move || {
                    start.wait();
                    run(self.worker(index));
                });
            }
        });
        self.threads.run_posted();
    }

    /// Lets virtual time pass, on both clocks. What becomes due happens at its time: ticks, answers
    /// of upstreams, timeouts.
    ///
    /// # Panics
    /// If something went wrong before; see [`expect_crash`](Self::expect_crash).
    #[track_caller]
    pub fn advance(&self, time: Duration) {
        let clock = &self.shared().clock;
        self.shared().begin();
        let target = clock.monotonic() + time;
        loop {
            let due = self.threads.next_due().filter(|due| *due <= target);
            clock.advance_to(due.unwrap_or(target));
            if due.is_none() {
                return;
            }
            self.threads.all().for_each(|worker| lock(worker).run());
            self.threads.run_posted();
        }
    }

    /// Takes the first crash of a filter that the test has not seen: it is what the test expects.
    ///
    /// # Panics
    /// If no filter has crashed.
    #[track_caller]
    pub fn expect_crash(&self) -> Crash {
        let shared = self.shared();
        let crash = shared.failures.take_crashes(&shared.logs, true).pop();
        let crash = crash.or_else(|| {
            shared.fail_if_something_went_wrong();
            None
        });
        crash.expect("the test expects a crash, and no filter has crashed")
    }

    /// Takes all crashes of filters that the test has not seen. None of them fails the test then.
    pub fn crashes(&self) -> Vec<Crash> {
        let shared = self.shared();
        shared.failures.take_crashes(&shared.logs, false)
    }

    /// The time on the wall clock.
    pub fn wall_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.shared().clock.now().wall
    }

    /// Sets the wall clock, forward or back; the monotonic clock stays.
    pub fn set_wall_time(&self, time: SystemTime) {
        self.shared().clock.set_wall(time);
    }
}

/// Guests are told that everything ends, and what went wrong fails the test. After a test has failed,
/// what went wrong may be why, so it is shown; a second panic would hide the first.
impl Drop for Host {
    fn drop(&mut self) {
        let Shared { failures, logs, .. } = &**self.shared();
        let report = failures.report(logs);
        if std::thread::panicking() {
            if let Some(report) = report {
                eprintln!("before the test failed, {report}");
            }
            return;
        }
        logs.set_mark();
        self.threads
            .all()
            .for_each(|worker| lock(worker).shut_down());
        if let Some(report) = report.or_else(|| failures.report(logs)) {
            panic!("{report}");
        }
    }
}

/// One worker of a [`Host`].
#[derive(Clone, Copy, Debug)]
pub struct WorkerHandle<'a> {
    pub(crate) host: &'a Host,
    pub(crate) index: usize,
}

impl WorkerHandle<'_> {
    fn shared(&self) -> &Shared {
        self.host.shared()
    }

    /// The worker's number, from zero.
    pub fn index(self) -> usize {
        self.index
    }

    /// Like [`Host::send`], on this worker.
    ///
    /// # Panics
    /// As [`Host::send`] does.
    #[track_caller]
    pub fn send(self, request: Request) -> Outcome {
        self.open(request).outcome()
    }

    /// Like [`Host::open`], on this worker.
    ///
    /// # Panics
    /// As [`Host::open`] does.
    #[track_caller]
    pub fn open(self, request: Request) -> ClientStream {
        self.shared().begin();
        ClientStream::open(&self.host.threads, self.index, &request, true)
    }

    /// Makes this worker's VM of that filter crash, as if a guest had panicked. The filter's
    /// [`FailurePolicy`](crate::FailurePolicy) says what follows, for it and for all filters that
    /// share the VM.
    ///
    /// # Panics
    /// If there is no such filter.
    #[track_caller]
    pub fn crash(self, filter: &str) {
        let worker = lock(&self.host.threads.workers[self.index]);
        let plugin = worker.plugin(filter);
        drop(worker);
        match plugin {
            Some(plugin) => plugin.vm.crash(),
            None => panic!("there is no filter {filter:?}"),
        }
    }

    /// Sends the headers of a request and what it has of a body, but not its end.
    ///
    /// # Panics
    /// As [`Host::open`] does.
    #[track_caller]
    pub fn open_unfinished(self, request: Request) -> ClientStream {
        self.shared().begin();
        ClientStream::open(&self.host.threads, self.index, &request, false)
    }
}
