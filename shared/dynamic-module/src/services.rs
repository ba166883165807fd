//! What one configuration has of Envoy: metrics, calls, and ticks in the main thread.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use portcullis_host::backend::{MetricId, MetricKind};
use portcullis_host::{Call, CallId, Error, Status};

use crate::abi::{self, Buffer, ConfigPtr, FilterPtr, Header, callout, newer};
use crate::ticker::{Scheduler, Ticks};

/// The services of one configuration.
pub(crate) struct Services {
    config: ConfigPtr,
    main_thread: ThreadId,
    /// The metrics by name. Envoy accepts no new ones once the filter is configured.
    metrics: Mutex<BTreeMap<String, MetricId>>,
    /// Changes of metrics from outside of streams, for an Envoy that takes them only from streams.
    deferred: Mutex<Vec<(MetricId, Change)>>,
    /// What other threads have [asked](Self::ask_caller) the main thread for.
    asked: Mutex<BTreeSet<u64>>,
    ticks: Ticks,
}

// SAFETY: Envoy's calls on a configuration are for the main thread only, except those on metrics and schedulers, which
// any thread may make; everything else is behind locks.
unsafe impl Send for Services {}
// SAFETY: as above.
unsafe impl Sync for Services {}

/// A change of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Add(i64),
    Set(u64),
}

const METRIC: &str = "http_filter_config metrics";
const CALLOUT: &str = "http_filter_config_http_callout";

impl Services {
    /// The services of a configuration, whose main thread this is.
    ///
    /// # Safety
    /// `config` is Envoy's configuration, and outlives these services.
    pub(crate) unsafe fn new(config: ConfigPtr) -> Self {
        Self {
            config,
            main_thread: thread::current().id(),
            metrics: Mutex::default(),
            deferred: Mutex::default(),
            asked: Mutex::default(),
            // SAFETY: as above.
            ticks: Ticks::new(unsafe { Scheduler::of_config(config) }),
        }
    }

    pub(crate) fn is_main_thread(&self) -> bool {
        thread::current().id() == self.main_thread
    }

    /// The ticks of the main thread.
    pub(crate) fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    pub(crate) fn define_metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, Error> {
        let mut metrics = lock(&self.metrics);
        if let Some(id) = metrics.get(name) {
            return Ok(*id);
        }
        let define = match kind {
            MetricKind::Counter => abi::define_counter,
            MetricKind::Gauge => abi::define_gauge,
        };
        let mut id = 0;
        // SAFETY: the configuration lives; Envoy reads the name, and writes the id.
        let result = unsafe { define(self.config, name.as_bytes().into(), null_mut(), 0, &mut id) };
        check(result)?;
        let id = metric_id(kind, id).ok_or(failed(Status::InternalFailure))?;
        metrics.insert(name.to_owned(), id);
        Ok(id)
    }

    /// Changes a metric, within a callback of this filter, or outside of streams if it is null.
    pub(crate) fn change_metric(
        &self,
        filter: FilterPtr,
        id: MetricId,
        change: Change,
    ) -> Result<(), Error> {
        let (kind, number) = parts(id);
        let (call, value): (usize, u64) = match (kind, change) {
            (MetricKind::Counter, Change::Add(difference)) => (0, difference.unsigned_abs()),
            (MetricKind::Gauge, Change::Add(difference)) if difference >= 0 => {
                (1, difference.unsigned_abs())
            }
            (MetricKind::Gauge, Change::Add(difference)) => (2, difference.unsigned_abs()),
            (MetricKind::Gauge, Change::Set(value)) => (3, value),
            (MetricKind::Counter, Change::Set(_)) => return Err(failed(Status::BadArgument)),
        };
        let result = match newer() {
            Some(newer) => {
                let calls = [
                    newer.increment_counter,
                    newer.increment_gauge,
                    newer.decrement_gauge,
                    newer.set_gauge,
                ];
                let Some(call) = calls.get(call) else {
                    return Ok(());
                };
                // SAFETY: the configuration lives, and defined this metric without labels.
                unsafe { call(self.config, number, null_mut(), 0, value) }
            }
            None if filter.is_null() => {
                lock(&self.deferred).push((id, change));
                return Ok(());
            }
            None => {
                let calls = [
                    abi::filter_increment_counter,
                    abi::filter_increment_gauge,
                    abi::filter_decrement_gauge,
                    abi::filter_set_gauge,
                ];
                let Some(call) = calls.get(call) else {
                    return Ok(());
                };
                // SAFETY: the filter's callback runs, and its configuration defined this metric without labels.
                unsafe { call(filter, number, null_mut(), 0, value) }
            }
        };
        check(result)
    }

    /// Carries out the changes of metrics that had to wait for a stream.
    pub(crate) fn change_deferred_metrics(&self, filter: FilterPtr) {
        if newer().is_some() {
            return;
        }
        let deferred = std::mem::take(&mut *lock(&self.deferred));
        for (id, change) in deferred {
            // A metric that cannot be changed now could not have been changed then.
            let _ = self.change_metric(filter, id, change);
        }
    }

    /// Asks the main thread to do something about a topic in its next tick, and makes it tick.
    pub(crate) fn ask_caller(&self, topic: u64) {
        lock(&self.asked).insert(topic);
        self.ticks.tick_now();
    }

    pub(crate) fn take_asked(&self, topic: u64) -> bool {
        lock(&self.asked).remove(&topic)
    }

    /// Sends a request to another service. Only in the main thread.
    pub(crate) fn call(&self, call: &Call<'_>) -> Result<CallId, Error> {
        if !self.is_main_thread() {
            return Err(Error::of(CALLOUT)(Status::Unimplemented));
        }
        let headers = call.headers.iter();
        let mut headers: Vec<Header> = headers
            .map(|(name, value)| Header::new(name.as_bytes(), value.as_bytes()))
            .collect();
        let timeout = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
        let mut id = 0;
        // SAFETY: this is the main thread, and the configuration lives; Envoy copies the headers, and writes the id.
        let result = unsafe {
            abi::config_callout(
                self.config,
                &mut id,
                call.cluster.as_bytes().into(),
                headers.as_mut_ptr(),
                headers.len(),
                Buffer::NONE,
                timeout,
            )
        };
        let status = match result {
            callout::SUCCESS => return Ok(CallId::new(id)),
            callout::CLUSTER_NOT_FOUND | callout::MISSING_HEADERS => Status::BadArgument,
            _ => Status::InternalFailure,
        };
        Err(Error::of(CALLOUT)(status))
    }
}

/// Envoy numbers counters and gauges apart from each other.
fn metric_id(kind: MetricKind, number: usize) -> Option<MetricId> {
    let number = MetricId::try_from(number).ok()?;
    let id = number.checked_mul(2)?;
    Some(match kind {
        MetricKind::Counter => id,
        MetricKind::Gauge => id + 1,
    })
}

fn parts(id: MetricId) -> (MetricKind, usize) {
    let kind = match id % 2 {
        0 => MetricKind::Counter,
        _ => MetricKind::Gauge,
    };
    (kind, (id / 2) as usize)
}

fn check(result: u32) -> Result<(), Error> {
    match result {
        0 => Ok(()),
        1 => Err(failed(Status::NotFound)),
        2 => Err(failed(Status::BadArgument)),
        code => Err(failed(Status::Other(code))),
    }
}

fn failed(status: Status) -> Error {
    Error::of(METRIC)(status)
}

/// A panic while the lock was held leaves complete values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
