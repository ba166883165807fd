//! The host: what a test builds, sends requests to, and asks afterwards.

use std::fmt;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, SystemTime};

use crate::client::ClientStream;
use crate::filter::Filter;
use crate::logs::{LogLine, Thread};
use crate::message::Request;
use crate::metrics::MetricKind;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::shared_data::SharedData;
use crate::sync::lock;
use crate::worker::Worker;

/// A proxy with a chain of filters, in the test's own process.
///
/// Hosts have nothing in common with each other: tests run in parallel. A host can be shared between
/// threads; each of its workers does one thing at a time, and different workers race.
#[derive(Debug)]
pub struct Host {
    pub(crate) shared: Arc<Shared>,
    main: Arc<Mutex<Worker>>,
    workers: Vec<Arc<Mutex<Worker>>>,
}

/// Why a host does not start, or does not take a new configuration.
#[derive(Clone, Debug)]
pub struct StartError {
    /// The name of the filter.
    pub filter: String,
    /// What happened.
    pub reason: String,
    /// What was logged until then.
    pub logs: Vec<LogLine>,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter {:?}: {}", self.filter, self.reason)?;
        self.logs.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for StartError {}

impl Host {
    pub(crate) fn start(
        shared: Arc<Shared>,
        workers: usize,
        filters: Vec<Filter>,
    ) -> Result<Self, StartError> {
        let worker = |thread| Arc::new(Mutex::new(Worker::new(thread, Arc::clone(&shared))));
        let host = Self {
            main: worker(Thread::Main),
            workers: (0..workers.max(1))
                .map(|index| worker(Thread::Worker(index)))
                .collect(),
            shared,
        };
        host.update(filters)?;
        Ok(host)
    }

    /// Puts a new chain of filters in place, as a configuration update does: each new plugin is
    /// tried out, then configured on the main thread, and when all are, on every worker. New
    /// streams get the new chain; open ones keep the old one until they end. Plugins whose
    /// configuration did not change are kept as they are.
    ///
    /// # Errors
    /// If a plugin refuses its configuration or panics over it. The old chain stays then.
    pub fn update(&self, filters: Vec<Filter>) -> Result<(), StartError> {
        let filters: Vec<_> = filters.into_iter().map(Arc::new).collect();
        for filter in &filters {
            for event in [
                "vm_reload_backoff",
                "vm_reload_failure",
                "vm_reload_success",
            ] {
                let name = format!("wasm.{}.{event}", filter.name);
                self.shared.metrics.define(MetricKind::Counter, &name);
            }
        }
        if let Err((filter, reason)) = self.prepare(&filters) {
            let error = StartError {
                filter: filter.name.clone(),
                reason,
                logs: self.logs(),
            };
            self.threads()
                .for_each(|worker| lock(worker).discard_prepared());
            return Err(error);
        }
        self.threads()
            .for_each(|worker| lock(worker).set_chain(&filters));
        Ok(())
    }

    fn prepare<'a>(&self, filters: &'a [Arc<Filter>]) -> Result<(), (&'a Filter, String)> {
        for filter in filters {
            let mut main = lock(&self.main);
            if !main.has(filter) {
                Worker::try_out(&self.shared, filter)
                    .and_then(|()| main.prepare(filter))
                    .map_err(|reason| (&**filter, reason))?;
            }
        }
        for worker in &self.workers {
            for filter in filters {
                let prepared = lock(worker).prepare(filter);
                prepared.map_err(|reason| (&**filter, reason))?;
            }
        }
        Ok(())
    }

    /// The main thread and the workers.
    fn threads(&self) -> impl Iterator<Item = &Arc<Mutex<Worker>>> {
        [&self.main].into_iter().chain(&self.workers)
    }

    /// Sends a request to the first worker and gives what came of it.
    ///
    /// # Panics
    /// If the request is still under way when nothing is left to be done now: it waits for virtual
    /// time to pass, or for a filter that has paused it. Use [`open`](Self::open) then.
    pub fn send(&self, request: Request) -> Outcome {
        self.worker(0).send(request)
    }

    /// Sends a request to the first worker, and lets the test go on while it is under way.
    pub fn open(&self, request: Request) -> ClientStream {
        self.worker(0).open(request)
    }

    /// Like [`open`](Self::open), but more of the request's body is to come.
    pub fn open_unfinished(&self, request: Request) -> ClientStream {
        self.worker(0).open_unfinished(request)
    }

    /// One of the workers, counted from zero.
    pub fn worker(&self, index: usize) -> WorkerHandle<'_> {
        assert!(index < self.workers.len(), "there is no worker {index}");
        WorkerHandle { host: self, index }
    }

    /// The number of workers.
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Runs this once for each worker, on threads of their own that start together.
    pub fn race(&self, run: impl Fn(WorkerHandle<'_>) + Sync) {
        let start = Barrier::new(self.workers.len());
        std::thread::scope(|scope| {
            for index in 0..self.workers.len() {
                let (run, start) = (&run, &start);
                scope.spawn(move || {
                    start.wait();
                    run(self.worker(index));
                });
            }
        });
    }

    /// Lets virtual time pass, on both clocks. What becomes due happens at its time: ticks, answers
    /// of upstreams, timeouts.
    pub fn advance(&self, time: Duration) {
        let target = self.shared.clock.monotonic() + time;
        loop {
            let due = self
                .threads()
                .filter_map(|worker| lock(worker).next_due())
                .min();
            let due = due.filter(|due| *due <= target);
            self.shared.clock.advance_to(due.unwrap_or(target));
            if due.is_none() {
                return;
            }
            self.threads().for_each(|worker| lock(worker).run());
        }
    }

    /// The time on the wall clock.
    pub fn wall_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.shared.clock.now().wall
    }

    /// Sets the wall clock, forward or back; the monotonic clock stays.
    pub fn set_wall_time(&self, time: SystemTime) {
        self.shared.clock.set_wall(time);
    }

    /// The value of a counter, summed over all workers. Metrics of filters have the name that the
    /// filter gave (on Envoy's `/stats` it is `wasmcustom.<name>`); those of the host are
    /// `wasm.<filter>.vm_reload_success` and so on.
    ///
    /// # Panics
    /// If there is no such counter, so that a misspelt name is not mistaken for zero.
    pub fn counter(&self, name: &str) -> u64 {
        self.metric(MetricKind::Counter, name)
    }

    /// The value of a gauge.
    ///
    /// # Panics
    /// If there is no such gauge.
    pub fn gauge(&self, name: &str) -> u64 {
        self.metric(MetricKind::Gauge, name)
    }

    fn metric(&self, kind: MetricKind, name: &str) -> u64 {
        let value = self.shared.metrics.value(kind, name);
        value.unwrap_or_else(|| self.no_such_metric(kind, name))
    }

    /// All values that a histogram got, in order.
    ///
    /// # Panics
    /// If there is no such histogram.
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        let values = self.shared.metrics.recorded(name);
        values.unwrap_or_else(|| self.no_such_metric(MetricKind::Histogram, name))
    }

    fn no_such_metric(&self, kind: MetricKind, name: &str) -> ! {
        let names = self.metric_names(kind);
        panic!("no {kind:?} is called {name:?}; there are {names:?}")
    }

    /// The names of all metrics of one kind, in order.
    pub fn metric_names(&self, kind: MetricKind) -> Vec<String> {
        self.shared.metrics.names(kind)
    }

    /// Everything that was logged so far, at the host's level or above.
    pub fn logs(&self) -> Vec<LogLine> {
        self.shared.logs.lines()
    }

    /// The shared data of this host.
    pub fn shared_data(&self) -> &SharedData {
        &self.shared.shared_data
    }
}

/// Guests are told that everything ends; but not after a test has failed, lest a second panic hide
/// the first.
impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.threads().for_each(|worker| lock(worker).shut_down());
        }
    }
}

/// One worker of a [`Host`].
#[derive(Clone, Copy, Debug)]
pub struct WorkerHandle<'a> {
    host: &'a Host,
    index: usize,
}

impl WorkerHandle<'_> {
    /// The worker's number, from zero.
    pub fn index(self) -> usize {
        self.index
    }

    /// Like [`Host::send`], on this worker.
    ///
    /// # Panics
    /// As [`Host::send`] does.
    pub fn send(self, request: Request) -> Outcome {
        self.open(request).outcome()
    }

    /// Like [`Host::open`], on this worker.
    pub fn open(self, request: Request) -> ClientStream {
        ClientStream::open(&self.host.workers[self.index], &request, true)
    }

    /// Makes this worker's VM of that filter crash, as if a guest had panicked. The filter's
    /// [`FailurePolicy`](crate::FailurePolicy) says what follows, for it and for all filters that
    /// share the VM.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn crash(self, filter: &str) {
        lock(&self.host.workers[self.index]).crash(filter);
    }

    /// Sends the headers of a request and what it has of a body, but not its end.
    pub fn open_unfinished(self, request: Request) -> ClientStream {
        ClientStream::open(&self.host.workers[self.index], &request, false)
    }
}
