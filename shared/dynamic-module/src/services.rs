//! What one configuration has of Envoy: metrics, calls, and ticks in the main thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use portcullis_host::backend::{MetricId, MetricKind};
use portcullis_host::{Call, CallId, Error, Status};

use crate::abi::{self, Buffer, ConfigPtr, FilterPtr, Header, callout};
use crate::calls::{CALLOUT, Caller, Calls, Pending};
use crate::lock::lock;
use crate::metrics::{Change, Metrics};
use crate::route_config::RouteConfig;
use crate::ticker::{Scheduler, Ticks};

/// The services of one configuration.
pub(crate) struct Services {
    config: ConfigPtr,
    main_thread: ThreadId,
    metrics: Metrics,
    /// Changes of metrics from outside of streams, for an Envoy that takes them only from streams.
    deferred: Mutex<BTreeMap<MetricId, Change>>,
    /// What other threads have [asked](Self::ask_caller) the main thread for.
    asked: Mutex<BTreeSet<u64>>,
    /// Configurations of routes that a worker uses and the main thread does not know yet.
    new_routes: Mutex<Vec<Arc<RouteConfig>>>,
    calls: Calls,
    ticks: Ticks,
}

// SAFETY: Envoy's calls on a configuration are for the main thread only, except those on metrics and schedulers, which
// any thread may make; everything else is behind locks.
unsafe impl Send for Services {}
// SAFETY: as above.
unsafe impl Sync for Services {}

impl Services {
    /// The services of a configuration, whose main thread this is.
    ///
    /// # Safety
    /// `config` is Envoy's configuration, and outlives these services.
    pub(crate) unsafe fn new(config: ConfigPtr) -> Self {
        Self {
            config,
            main_thread: thread::current().id(),
            metrics: Metrics::default(),
            deferred: Mutex::default(),
            asked: Mutex::default(),
            new_routes: Mutex::default(),
            calls: Calls::default(),
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

    /// Defines a metric, or finds the one of this name, within a callback of this filter, or outside of streams if it is
    /// null.
    pub(crate) fn define_metric(
        &self,
        filter: FilterPtr,
        kind: MetricKind,
        name: &str,
    ) -> Result<MetricId, Error> {
        // SAFETY: the configuration outlives the services, and the filter's callback runs.
        unsafe { self.metrics.define(self.config, filter, kind, name) }
    }

    /// The filter is configured: Envoy accepts no new metrics any more.
    pub(crate) fn complete_metrics(&self) {
        self.metrics.complete();
    }

    /// Changes a metric, within a callback of this filter, or outside of streams if it is null.
    pub(crate) fn change_metric(
        &self,
        filter: FilterPtr,
        id: MetricId,
        change: Change,
    ) -> Result<(), Error> {
        // SAFETY: the configuration outlives the services, and the filter's callback runs.
        let changed = unsafe { self.metrics.change(self.config, filter, id, change) };
        changed.unwrap_or_else(|| {
            let mut deferred = lock(&self.deferred);
            let before = deferred.get(&id).copied();
            deferred.insert(id, before.map_or(change, |before| before.then(change)));
            Ok(())
        })
    }

    /// Carries out the changes of metrics that had to wait for a stream. Only an Envoy before 1.39 makes them wait.
    pub(crate) fn change_deferred_metrics(&self, filter: FilterPtr) {
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

    /// Tells the main thread that a worker uses the configuration of this route.
    pub(crate) fn add_route(&self, route: &Arc<RouteConfig>) {
        lock(&self.new_routes).push(Arc::clone(route));
        self.ticks.tick_now();
    }

    /// The configurations of routes that workers have begun to use.
    pub(crate) fn take_new_routes(&self) -> Vec<Arc<RouteConfig>> {
        std::mem::take(&mut *lock(&self.new_routes))
    }

    pub(crate) fn take_asked(&self, topic: u64) -> bool {
        lock(&self.asked).remove(&topic)
    }

    /// The calls of this configuration.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Hands a call of a worker over to the main thread.
    pub(crate) fn call_for(&self, call: &Call<'_>, caller: &Caller) -> Result<CallId, Error> {
        let (id, is_first) = self.calls.hand_over(call, caller)?;
        if is_first {
            self.ticks.make_calls();
        }
        Ok(id)
    }

    /// Sends a request of the main thread to another service.
    pub(crate) fn call(&self, call: &Call<'_>) -> Result<CallId, Error> {
        let id = self.send(call)?;
        if let Some(memo) = call.memo {
            let pending = Pending {
                memo: Some(Arc::clone(memo)),
                origin: None,
            };
            self.calls.add_pending(id, pending);
        }
        Ok(CallId::new(id))
    }

    /// Sends a request to another service, and returns Envoy's id of the call. Only in the main thread.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<u64, Error> {
        if !self.is_main_thread() {
            return Err(Error::of(CALLOUT)(Status::Unimplemented));
        }
        let headers = call.headers.iter();
        let mut headers: Vec<Header> = headers
            .map(|(name, value)| Header::new(name.as_bytes(), value.as_bytes()))
            .collect();
        let body = match call.body.is_empty() {
            true => Buffer::NONE,
            false => call.body.into(),
        };
        let mut id = 0;
        // SAFETY: this is the main thread, and the configuration lives; Envoy copies headers and body, and writes the id.
        let result = unsafe {
            abi::config_callout(
                self.config,
                &mut id,
                call.cluster.as_bytes().into(),
                headers.as_mut_ptr(),
                headers.len(),
                body,
                call.timeout_milliseconds().into(),
            )
        };
        let status = match result {
            callout::SUCCESS => return Ok(id),
            callout::CLUSTER_NOT_FOUND | callout::MISSING_HEADERS => Status::BadArgument,
            _ => Status::InternalFailure,
        };
        Err(Error::of(CALLOUT)(status))
    }
}
