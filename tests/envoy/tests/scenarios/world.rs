//! A scenario's world, with a real Envoy.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_envoy_tests::client::{Client, Pending};
use portcullis_envoy_tests::envoy::{Envoy, RefusedListeners};
use portcullis_envoy_tests::log::LogRecord;
use portcullis_envoy_tests::message;
use portcullis_envoy_tests::patience::wait_until;
use portcullis_envoy_tests::upstream;
use portcullis_scenarios::placement::{Host, placed};
use portcullis_scenarios::{
    Cluster, Filter, PendingRequest, Request, Response, Script, Upstream, World,
};

use crate::messages::{as_received, as_response, on_the_wire, reply};
use crate::pool::{ACTIVE, Pool, Stage};
use crate::proxy;

/// An Envoy with two workers. Every request uses its own connection, so that any worker may serve it.
pub(crate) struct EnvoyWorld {
    /// Returned to the pool at the end if it is shared.
    stage: Option<Stage>,
    is_shared: bool,
    /// The namespace of the plugins' state, unique to this world.
    vm_id: String,
    /// Number of earlier records in Envoy's log.
    log_begin: usize,
    /// Number of requests to each service that the scenario has already seen.
    told: BTreeMap<Cluster, usize>,
    under_way: BTreeMap<usize, Pending>,
    begun: usize,
    crashed: bool,
}

static POOL: Pool = Pool::new();
static BEFORE: AtomicUsize = AtomicUsize::new(0);

impl EnvoyWorld {
    /// Starts a world with those filters.
    pub(crate) fn start(filters: &[Filter]) -> Self {
        Self::try_start(filters).unwrap_or_else(|log| panic!("Envoy refuses the filters: {log}"))
    }

    /// The same; an error if a filter refuses its configuration.
    pub(crate) fn try_start(filters: &[Filter]) -> Result<Self, String> {
        let is_crashable = |filter: &Filter| matches!(filter, Filter::CrashablePlugin { .. });
        let is_shared = Host::chosen() == Host::Wasm && !filters.iter().any(is_crashable);
        let stage = match is_shared {
            true => POOL.take(&proxy::modules(&placed(filters))),
            false => Stage::of_its_own(),
        };
        let log_begin = stage.envoy.log().len();
        let world = Self {
            stage: Some(stage),
            is_shared,
            vm_id: format!("world-{}", BEFORE.fetch_add(1, Ordering::Relaxed)),
            log_begin,
            told: BTreeMap::new(),
            under_way: BTreeMap::new(),
            begun: 0,
            crashed: false,
        };
        match world.replace_filters(filters) {
            Ok(()) => Ok(world),
            Err(RefusedListeners) => Err(format!("{:#?}", world.log())),
        }
    }

    fn replace_filters(&self, filters: &[Filter]) -> Result<(), RefusedListeners> {
        self.stage().replace_filters(&self.vm_id, &placed(filters))
    }

    /// Checks, for every scenario, that no VM failed unless the scenario crashed it.
    pub(crate) fn assert_no_vm_failed(&self) {
        if !self.crashed {
            self.envoy().assert_no_vm_failed_since(self.log_begin);
        }
    }

    fn stage(&self) -> &Stage {
        self.stage.as_ref().expect("it is given back at the end")
    }

    fn envoy(&self) -> &Envoy {
        &self.stage().envoy
    }

    /// The log of this world.
    fn log(&self) -> Vec<LogRecord> {
        self.envoy().log().split_off(self.log_begin)
    }

    fn service(&self, cluster: Cluster) -> &upstream::Upstream {
        let service = self.stage().services.get(&cluster);
        service.unwrap_or_else(|| self.envoy().upstream())
    }

    fn client(&self, request: &Request) -> Client {
        match request {
            Request { tls: true, .. } => self.envoy().tls_client(),
            Request { http2: true, .. } => self.envoy().http2_client(),
            _ => self.envoy().client(),
        }
    }

    fn start_request(&self, request: Request) -> Pending {
        self.client(&request).start(on_the_wire(request))
    }

    /// Waits until Envoy has finished all requests that are not in flight: filters see the end of a request only after its
    /// client has the response.
    fn settle(&self) {
        let unfinished = self.under_way.values().filter(|it| !it.is_finished());
        let count = unfinished.count() as u64;
        let wanted = format!("at most {count}");
        self.envoy()
            .wait_for_stat_to_be(ACTIVE, &wanted, |active| active <= count);
    }

    fn take(&mut self, request: PendingRequest) -> Pending {
        let pending = self.under_way.remove(&request.0);
        pending.expect("it was begun, and ends once")
    }

    fn panic_in_the_library(&self, path: &str) {
        let deadly = message::Request::get(path).header("x-portcullis-crash", "1");
        // A request that passes waits for an upstream that may be silent.
        let clients: Vec<Pending> = (0..PANICS)
            .map(|_| self.envoy().client().start(deadly.clone()))
            .collect();
        let panics = || {
            let log = self.log().into_iter();
            log.filter(|record| record.level == "critical").count()
        };
        wait_until("the panics in the log", || panics() == PANICS);
        clients.into_iter().for_each(Pending::disconnect);
        self.settle();
    }

    fn tell(&mut self, cluster: Cluster, received: &[message::Request]) -> Vec<Request> {
        let told = self.told.entry(cluster).or_default();
        let news = received.iter().skip(*told).map(as_received).collect();
        *told = received.len();
        news
    }
}

impl World for EnvoyWorld {
    fn serve(&mut self, cluster: Cluster, upstream: Upstream) {
        let service = self.service(cluster);
        let script: Script = match upstream {
            Upstream::Unreachable => {
                service.refuse_connections();
                // A connection that Envoy still considers usable would fail in another way.
                let connections = format!("cluster.{}.upstream_cx_active", cluster.name());
                return self.envoy().wait_for_stat(&connections, 0);
            }
            Upstream::Answers(response) => Box::new(move |_: &Request| response.clone().into()),
            Upstream::Scripted(script) => script,
        };
        let script = Mutex::new(script);
        service.set_script(move |request| {
            let mut script = script.lock().expect("a script that did not panic before");
            reply(script(&as_received(request)))
        });
        service.accept_connections();
    }

    fn send(&mut self, request: Request) -> Response {
        let client = self.client(&request);
        let response = whole(as_response(client.send(&on_the_wire(request))));
        self.settle();
        response
    }

    fn try_send(&mut self, request: Request) -> Option<Response> {
        let pending = self.start_request(request);
        let deadline = Instant::now() + BRIEFLY;
        while !pending.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let response = match pending.is_finished() {
            true => Some(whole(as_response(pending.response()))),
            false => {
                pending.disconnect();
                None
            }
        };
        self.settle();
        response
    }

    fn send_together(&mut self, requests: Vec<Request>) -> Vec<Response> {
        let pending: Vec<Pending> = requests
            .into_iter()
            .map(|request| self.start_request(request))
            .collect();
        let responses = pending.into_iter().map(Pending::response);
        let responses = responses
            .map(|response| whole(as_response(response)))
            .collect();
        self.settle();
        responses
    }

    fn begin(&mut self, request: Request) -> PendingRequest {
        let before = self.envoy().counter(BEGUN);
        let pending = self.start_request(request);
        self.envoy().wait_for_stat(BEGUN, before + 1);
        self.begun += 1;
        self.under_way.insert(self.begun, pending);
        PendingRequest(self.begun)
    }

    fn finish(&mut self, request: PendingRequest) -> Response {
        let response = as_response(self.take(request).response());
        self.settle();
        response
    }

    fn abandon(&mut self, request: PendingRequest) {
        self.take(request).disconnect();
        self.settle();
    }

    fn arrivals(&mut self, cluster: Cluster, count: usize) -> Vec<Request> {
        let told = self.told.get(&cluster).copied().unwrap_or_default();
        let received = self.service(cluster).wait_for_requests(told + count);
        self.tell(cluster, &received)
    }

    fn received_by(&mut self, cluster: Cluster) -> Vec<Request> {
        let received = self.service(cluster).requests();
        self.tell(cluster, &received)
    }

    fn counter(&mut self, name: &str) -> u64 {
        // A plugin defines all its metrics when it is configured, so a metric that Envoy does not know is misspelt, not 0.
        self.envoy().counter(name)
    }

    fn sum_of_counters(&mut self, prefix: &str) -> u64 {
        let stats = self.envoy().stats();
        stats.with_prefix(prefix).map(|(_, value)| value).sum()
    }

    fn warnings(&mut self) -> Vec<String> {
        let records = self.log().into_iter();
        let bad =
            records.filter(|record| !matches!(record.level.as_str(), "trace" | "debug" | "info"));
        let said = bad.filter_map(|record| record.plugin_message().map(str::to_owned));
        said.collect()
    }

    fn gauge(&mut self, name: &str) -> u64 {
        self.envoy().counter(name)
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn crash(&mut self, path: &str) {
        self.crashed = true;
        if Host::chosen() == Host::Library {
            return self.panic_in_the_library(path);
        }
        let deadly = message::Request::post(path, "x").trailer("x-deadly", "1");
        let client = self.envoy().http2_client();
        // Envoy does not reload a failed VM within a second.
        for _ in 0..PANICS {
            let response = client.try_send(&deadly);
            let survived = response.is_ok_and(|response| response.status == 200);
            assert!(
                !survived,
                "no filter can be made to crash, or none of {path} reaches it"
            );
        }
        self.settle();
    }

    fn reconfigure(&mut self, filters: &[Filter]) {
        let replaced = self.replace_filters(filters);
        replaced.expect("filters that accept their configuration");
    }
}

impl Drop for EnvoyWorld {
    fn drop(&mut self) {
        self.under_way.clear();
        if let Some(stage) = self.stage.take().filter(|_| self.is_shared) {
            POOL.give_back(stage);
        }
    }
}

/// A test cannot choose the worker, but with this number of requests, each worker gets one.
const PANICS: usize = 20;
/// The counter of requests that Envoy has begun.
const BEGUN: &str = "http.ingress.downstream_rq_total";
/// How long to wait for a response that may never come.
const BRIEFLY: Duration = Duration::from_secs(3);

fn whole(response: Response) -> Response {
    assert!(!response.broken_off, "the response broke off: {response:?}");
    response
}
