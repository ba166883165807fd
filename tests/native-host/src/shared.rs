//! What all workers of a host have in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::failures::Failures;
use crate::foreign::ForeignFunctions;
use crate::headers::Headers;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::properties::Properties;
use crate::random::Random;
use crate::shared_data::SharedData;
use crate::shared_queue::SharedQueues;
use crate::upstream::{Cluster, Route, Service};

/// The process-wide part of a host. Each host has its own, so hosts in one test process do not meet.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) shared_data: SharedData,
    pub(crate) queues: SharedQueues,
    pub(crate) metrics: Metrics,
    pub(crate) logs: Logs,
    pub(crate) failures: Failures,
    pub(crate) random: Random,
    pub(crate) foreign: ForeignFunctions,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// gRPC services, by the cluster that they are in.
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) properties: Properties,
    pub(crate) attempt_counts: bool,
    ids: AtomicU64,
}

/// What a test configures of [`Shared`].
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) shared_data: SharedData,
    pub(crate) random: Random,
    pub(crate) foreign: ForeignFunctions,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// gRPC services, by the cluster that they are in.
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) properties: Properties,
    pub(crate) attempt_counts: bool,
    pub(crate) tolerates_crashes: bool,
}

impl Shared {
    pub(crate) fn new(settings: Settings, logs: Logs) -> Self {
        Self {
            clock: Clock::new(),
            shared_data: settings.shared_data,
            queues: SharedQueues::default(),
            metrics: Metrics::default(),
            logs,
            failures: Failures::tolerating(settings.tolerates_crashes),
            random: settings.random,
            foreign: settings.foreign,
            clusters: settings.clusters,
            services: settings.services,
            routes: settings.routes,
            properties: settings.properties,
            attempt_counts: settings.attempt_counts,
            ids: AtomicU64::new(1),
        }
    }

    /// The test calls the host: it fails if something went wrong before.
    #[track_caller]
    pub(crate) fn begin(&self) {
        self.fail_if_something_went_wrong();
        self.logs.set_mark();
    }

    #[track_caller]
    pub(crate) fn fail_if_something_went_wrong(&self) {
        if let Some(report) = self.failures.report(&self.logs) {
            panic!("{report}");
        }
    }

    /// A number that this host gives out once: for streams and connections.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The route for a request with these headers.
    pub(crate) fn route(&self, headers: &Headers) -> Option<Arc<Route>> {
        let path = headers.get(":path").unwrap_or_default();
        let has = |(name, value): &(String, String)| headers.get(name) == Some(value.as_str());
        let mut fitting = self
            .routes
            .iter()
            .filter(|route| path.starts_with(&route.prefix) && route.header.iter().all(has));
        fitting.next().cloned()
    }
}
