//! The implementation of [`World`] with the native host.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_scenarios::placement::placed;
use portcullis_scenarios::{
    Cluster, DEFAULT_ROUTE, Filter, NO_ROUTE_PREFIX, OTHER_PREFIX, OTHER_ROUTE, PRIVATE_ROUTE,
    PUBLIC_ROUTE, PUBLIC_TIER, PendingRequest, RETRIED_PREFIX, RETRIED_ROUTE, RETRIES, RETRY_ON,
    Request, Response, SHOP_PREFIX, SHOP_ROUTE, SHORT_TIMEOUT, SHORT_TIMEOUT_PREFIX,
    SHORT_TIMEOUT_ROUTE, TIER_HEADER, TIER_PREFIX, Upstream, World,
};
use proxy_wasm_native_host as host;
use proxy_wasm_native_host::{
    ClientStream, Host, HostBuilder, LogLevel, LogLine, MetricKind, Route,
};

use crate::filters::native;
use crate::messages::{answer, as_received, as_response, to_host};

/// The step of virtual time while a story waits.
const STEP: Duration = Duration::from_millis(1);
/// The maximum wait for a response, in virtual time.
const PATIENCE: Duration = Duration::from_secs(60);
/// The maximum wait for a response that may never arrive.
const BRIEFLY: Duration = Duration::from_secs(3);

/// A host with two workers, which take turns.
pub(crate) struct NativeWorld {
    host: Host,
    services: BTreeMap<Cluster, Arc<Mutex<Service>>>,
    under_way: BTreeMap<usize, Sent>,
    begun: usize,
    /// The name of the filter that can crash; empty if there is none.
    mortal: String,
    crashed: bool,
    /// Whether the story uses the key server, so that fetches may fail.
    about_idp: bool,
}

/// A pending request.
struct Sent {
    stream: ClientStream,
    http2: bool,
}

/// One of the services behind the proxy.
struct Service {
    upstream: Upstream,
    received: Vec<Request>,
}

impl NativeWorld {
    /// Starts a host with these filters.
    pub(crate) fn start(filters: &[Filter]) -> Self {
        Self::try_start(filters).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a host with these filters. Returns an error if a filter does not start.
    pub(crate) fn try_start(filters: &[Filter]) -> Result<Self, String> {
        let filters = placed(filters);
        let service = || Service {
            upstream: Upstream::Answers(Response::new(200).without_body()),
            received: Vec::new(),
        };
        let services = Cluster::ALL.map(|cluster| (cluster, Arc::new(Mutex::new(service()))));
        let services = BTreeMap::from(services);
        let builder = routes(Host::builder().workers(2).attempt_counts());
        let builder = services
            .iter()
            .fold(builder, |builder, (cluster, service)| {
                let service = Arc::clone(service);
                builder.cluster(cluster.name(), move |request| {
                    locked(&service).serve(request)
                })
            });
        // A plugin that lacks a capability may die of that, and the table of capabilities says so.
        let builder = match filters[..] {
            [Filter::Restricted { .. }, ..] => builder.tolerate_crashes(),
            _ => builder,
        };
        let host = filters
            .iter()
            .filter_map(native)
            .fold(builder, HostBuilder::filter)
            .start()
            .map_err(|error| error.to_string())?;
        let mortal = filters.iter().find_map(|filter| match filter {
            Filter::CrashablePlugin { module, .. } => Some(*module),
            _ => None,
        });
        Ok(Self {
            host,
            services,
            under_way: BTreeMap::new(),
            begun: 0,
            mortal: mortal.unwrap_or_default().to_owned(),
            crashed: false,
            about_idp: false,
        })
    }

    /// Checks the expectations that all scenarios share: no VM crashed and nothing logged a warning, unless the story
    /// caused it.
    pub(crate) fn assert_nothing_failed(&self) {
        let bad: Vec<_> = self
            .host
            .logs()
            .into_iter()
            .filter(|line| line.level >= LogLevel::Warn && !self.had_to_be(line))
            .collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }

    /// Whether the story caused this line.
    fn had_to_be(&self, line: &LogLine) -> bool {
        let is_fetch = self.about_idp && line.message.contains(" not fetched from ");
        let is_outage = self.about_idp && line.message.contains(" is out: ");
        let is_skipped_key = line.message.contains(": not used: keys[");
        let is_breaker = line.message.contains("there is no such breaker");
        match line.level {
            LogLevel::Critical => self.crashed,
            _ => is_fetch || is_outage || is_breaker || is_skipped_key,
        }
    }

    fn service(&self, cluster: Cluster) -> MutexGuard<'_, Service> {
        locked(self.services.get(&cluster).expect("every cluster has one"))
    }

    /// Opens a stream on the worker whose turn it is.
    fn open(&mut self, request: &Request) -> ClientStream {
        let worker = self.host.worker(self.begun % self.host.worker_count());
        self.begun += 1;
        worker.open(to_host(request))
    }

    fn take(&mut self, request: PendingRequest) -> Sent {
        let sent = self.under_way.remove(&request.0);
        sent.expect("it was begun, and ends once")
    }

    fn wait(&self, mut stream: ClientStream) -> Response {
        let mut waited = Duration::ZERO;
        while !stream.is_over() && waited < PATIENCE {
            self.host.advance(STEP);
            waited += STEP;
        }
        as_response(&stream.outcome())
    }
}

impl World for NativeWorld {
    fn serve(&mut self, cluster: Cluster, upstream: Upstream) {
        self.about_idp |= cluster == Cluster::Idp;
        self.service(cluster).upstream = upstream;
    }

    fn send(&mut self, request: Request) -> Response {
        let stream = self.open(&request);
        whole(self.wait(stream))
    }

    fn try_send(&mut self, request: Request) -> Option<Response> {
        let mut stream = self.open(&request);
        let mut waited = Duration::ZERO;
        while !stream.is_over() && waited < BRIEFLY {
            self.host.advance(STEP);
            waited += STEP;
        }
        match stream.is_over() {
            true => Some(whole(as_response(&stream.outcome()))),
            false => {
                stream.disconnect();
                None
            }
        }
    }

    fn send_together(&mut self, requests: Vec<Request>) -> Vec<Response> {
        let next = AtomicUsize::new(0);
        let streams = Mutex::new(BTreeMap::new());
        self.host.race(|worker| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(index) else {
                    return;
                };
                let stream = worker.open(to_host(request));
                locked(&streams).insert(index, stream);
            }
        });
        let streams = streams.into_inner().unwrap_or_else(PoisonError::into_inner);
        let streams = streams.into_values();
        streams.map(|stream| whole(self.wait(stream))).collect()
    }

    fn begin(&mut self, request: Request) -> PendingRequest {
        let sent = Sent {
            stream: self.open(&request),
            http2: request.http2,
        };
        self.under_way.insert(self.begun, sent);
        PendingRequest(self.begun)
    }

    fn finish(&mut self, request: PendingRequest) -> Response {
        let sent = self.take(request);
        self.wait(sent.stream)
    }

    fn abandon(&mut self, request: PendingRequest) {
        let Sent { stream, http2 } = self.take(request);
        match http2 {
            true => stream.reset(),
            false => stream.disconnect(),
        }
    }

    fn arrivals(&mut self, cluster: Cluster, count: usize) -> Vec<Request> {
        let mut waited = Duration::ZERO;
        while self.service(cluster).received.len() < count {
            assert!(
                waited < PATIENCE,
                "waited for {count} requests to {cluster:?}"
            );
            self.host.advance(STEP);
            waited += STEP;
        }
        self.received_by(cluster)
    }

    fn received_by(&mut self, cluster: Cluster) -> Vec<Request> {
        mem::take(&mut self.service(cluster).received)
    }

    fn counter(&mut self, name: &str) -> u64 {
        self.host.counter(name)
    }

    fn sum_of_counters(&mut self, prefix: &str) -> u64 {
        let names = self.host.metric_names(MetricKind::Counter).into_iter();
        let names = names.filter(|name| name.starts_with(prefix));
        names.map(|name| self.host.counter(&name)).sum()
    }

    fn warnings(&mut self) -> Vec<String> {
        let lines = self.host.logs().into_iter();
        let bad = lines.filter(|line| {
            line.level >= LogLevel::Warn
                && !line.message.starts_with("Attempted call to restricted")
        });
        bad.map(|line| line.message).collect()
    }

    fn gauge(&mut self, name: &str) -> u64 {
        self.host.gauge(name)
    }

    fn pass(&mut self, time: Duration) {
        self.host.advance(time);
    }

    fn crash(&mut self, _path: &str) {
        for worker in 0..self.host.worker_count() {
            self.host.worker(worker).crash(&self.mortal);
        }
        self.crashed = true;
    }

    fn reconfigure(&mut self, filters: &[Filter]) {
        let filters = placed(filters).iter().filter_map(native).collect();
        let updated = self.host.update(filters);
        updated.unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Service {
    fn serve(&mut self, request: &host::Request) -> host::Answer {
        let request = as_received(request);
        let served = match &mut self.upstream {
            Upstream::Unreachable => return host::Answer::connect_failure(),
            Upstream::Answers(response) => response.clone().into(),
            Upstream::Scripted(script) => script(&request),
        };
        self.received.push(request);
        answer(served)
    }
}

fn routes(builder: HostBuilder) -> HostBuilder {
    // Routes of the host cannot exclude a prefix, so this one gives the answer of its router.
    let nowhere = Route::new("none").direct_response(host::Response::new(404));
    let other = Route::new(OTHER_ROUTE).cluster(Cluster::Other.name());
    let retried = Route::new(RETRIED_ROUTE).retry(RETRY_ON, RETRIES);
    let public = Route::new(PUBLIC_ROUTE).header(TIER_HEADER, PUBLIC_TIER);
    let private = Route::new(PRIVATE_ROUTE).cluster(Cluster::Other.name());
    builder
        .route(nowhere.prefix(NO_ROUTE_PREFIX))
        .route(Route::new(SHOP_ROUTE).prefix(SHOP_PREFIX))
        .route(other.prefix(OTHER_PREFIX))
        .route(retried.prefix(RETRIED_PREFIX))
        .route(
            Route::new(SHORT_TIMEOUT_ROUTE)
                .prefix(SHORT_TIMEOUT_PREFIX)
                .timeout(SHORT_TIMEOUT),
        )
        .route(public.prefix(TIER_PREFIX))
        .route(private.prefix(TIER_PREFIX))
        .route(Route::new(DEFAULT_ROUTE))
}

fn whole(response: Response) -> Response {
    assert!(!response.broken_off, "the response broke off: {response:?}");
    response
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
