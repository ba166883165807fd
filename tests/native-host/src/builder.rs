//! How a test describes the host that it wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::filter::Filter;
use crate::foreign::ForeignFunctions;
use crate::grpc::service::{GrpcReply, GrpcRequest};
use crate::host::{Host, StartError};
use crate::logs::{LogLevel, Logs};
use crate::message::{Request, Response};
use crate::properties::{Properties, PropertyValue};
use crate::random::Random;
use crate::shared::{Settings, Shared};
use crate::shared_data::SharedData;
use crate::status::Status;
use crate::upstream::{Answer, Cluster, Route, Service};

/// Builds a [`Host`]. Without further ado it has one worker, no filters, and an upstream that
/// answers 200 with the body `hello`.
#[derive(Debug)]
pub struct HostBuilder {
    filters: Vec<Filter>,
    workers: usize,
    log_level: LogLevel,
    settings: Settings,
}

impl Host {
    /// Begins to build a host.
    pub fn builder() -> HostBuilder {
        let answer = |_: &Request| Response::new(200).body("hello");
        let upstream = ("upstream".to_owned(), Cluster::answering(answer));
        HostBuilder {
            filters: Vec::new(),
            workers: 1,
            log_level: LogLevel::Info,
            settings: Settings {
                shared_data: SharedData::new(),
                random: Random::default(),
                foreign: ForeignFunctions::default(),
                clusters: BTreeMap::from([upstream]),
                services: BTreeMap::new(),
                routes: Vec::new(),
                properties: Properties::default(),
                attempt_counts: false,
                tolerates_crashes: false,
            },
        }
    }
}

impl HostBuilder {
    /// Adds a filter. Requests go through the filters in the order in which they are added,
    /// responses in reverse.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Sets the number of workers.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets what answers requests to the cluster `upstream`, which is where they go if there are no
    /// routes.
    pub fn upstream<A: Into<Answer>>(
        self,
        handler: impl Fn(&Request) -> A + Send + Sync + 'static,
    ) -> Self {
        self.cluster("upstream", handler)
    }

    /// Adds a cluster, for routes and for the HTTP calls of filters.
    ///
    /// The handler is given the request with all headers that Envoy would send. It runs while the
    /// worker waits for it, so it must not use that worker.
    pub fn cluster<A: Into<Answer>>(
        mut self,
        name: &str,
        handler: impl Fn(&Request) -> A + Send + Sync + 'static,
    ) -> Self {
        let cluster = Cluster::answering(handler);
        self.settings.clusters.insert(name.to_owned(), cluster);
        self
    }

    /// Adds a gRPC service, for the calls and streams of filters to this cluster. It is asked at each
    /// stage of a stream, and once for a call.
    ///
    /// gRPC requests to a cluster that has no service go to its HTTP handler, in frames.
    pub fn grpc_service<R: Into<GrpcReply>>(
        mut self,
        cluster: &str,
        service: impl Fn(&GrpcRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        let service = Service(Arc::new(move |request| service(request).into()));
        self.settings.services.insert(cluster.to_owned(), service);
        self
    }

    /// Adds a cluster without hosts. Requests get 503 with flag `UH`; HTTP calls fail at once.
    pub fn empty_cluster(mut self, name: &str) -> Self {
        self.settings
            .clusters
            .insert(name.to_owned(), Cluster::Empty);
        self
    }

    /// Adds an entry to the route table, whose first fitting entry is taken. If none is added, there
    /// is one, called `default`, that fits every path.
    pub fn route(mut self, route: Route) -> Self {
        self.settings.routes.push(Arc::new(route));
        self
    }

    /// Lets the router tell upstreams and clients, in `x-envoy-attempt-count`, how often a request
    /// was sent: `include_request_attempt_count` and `include_attempt_count_in_response` of Envoy's
    /// virtual hosts.
    pub fn attempt_counts(mut self) -> Self {
        self.settings.attempt_counts = true;
        self
    }

    /// Gives a property a value for all requests, unless a request has its own.
    pub fn property(mut self, path: &str, value: impl Into<PropertyValue>) -> Self {
        self.settings.properties.insert(path, value);
        self
    }

    /// Adds a foreign function. `verify_signature` is there already.
    pub fn foreign_function(
        mut self,
        name: &str,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) -> Self {
        self.settings.foreign.register(name, function);
        self
    }

    /// Removes a foreign function, to be like a host that does not offer it.
    pub fn without_foreign_function(mut self, name: &str) -> Self {
        self.settings.foreign.remove(name);
        self
    }

    /// Makes the bytes of `random_get` the same on every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.random = Random::seeded(seed);
        self
    }

    /// Shares data with another host, as if the filters were on two listeners of one Envoy.
    pub fn shared_data(mut self, data: SharedData) -> Self {
        self.settings.shared_data = data;
        self
    }

    /// Sets the least level that is logged, which filters can read; `Info` if not set.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// Lets filters crash without failing the test, as tests that feed them nonsense may want it.
    /// [`Host::crashes`] still gives every crash.
    pub fn tolerate_crashes(mut self) -> Self {
        self.settings.tolerates_crashes = true;
        self
    }

    /// Starts the host: configures every filter on the main thread, then on every worker.
    ///
    /// # Errors
    /// If a filter refuses its configuration, or panics over it.
    pub fn start(mut self) -> Result<Host, StartError> {
        if self.settings.routes.is_empty() {
            self.settings.routes.push(Arc::new(Route::new("default")));
        }
        let shared = Shared::new(self.settings, Logs::new(self.log_level));
        Host::start(Arc::new(shared), self.workers, self.filters)
    }
}
