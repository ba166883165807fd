//! A scenario's world, with the native host in it.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_scenarios::{
    DEFAULT_ROUTE, Filter, NO_ROUTE_PREFIX, Request, Response, SHOP_PREFIX, SHOP_ROUTE, Upstream,
    World,
};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use proxy_wasm_native_host as host;
use proxy_wasm_native_host::{Answer, Host, LogLevel, Route};

/// A host of two workers, which take turns.
pub(crate) struct NativeWorld {
    host: Host,
    upstream: Arc<Mutex<Upstream>>,
    received: Vec<Request>,
    next_worker: usize,
}

impl NativeWorld {
    /// Starts a host with those filters.
    pub(crate) fn start(filters: &[Filter]) -> Self {
        let upstream = Arc::new(Mutex::new(Upstream::Answers(
            Response::new(200).without_body(),
        )));
        let answers = Arc::clone(&upstream);
        let builder = Host::builder()
            .workers(2)
            .upstream(move |_| answer(&answers.lock().unwrap_or_else(PoisonError::into_inner)))
            // The host's routes cannot leave a prefix out; its router answers the same way here.
            .route(
                Route::new("none")
                    .prefix(NO_ROUTE_PREFIX)
                    .direct_response(host::Response::new(404)),
            )
            .route(Route::new(SHOP_ROUTE).prefix(SHOP_PREFIX))
            .route(Route::new(DEFAULT_ROUTE));
        let host = filters
            .iter()
            .fold(builder, |builder, filter| builder.filter(native(filter)))
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            host,
            upstream,
            received: Vec::new(),
            next_worker: 0,
        }
    }

    /// Checks what no scenario says but all mean: no VM died, and nothing was warned of.
    pub(crate) fn assert_nothing_failed(&self) {
        let bad: Vec<_> = self
            .host
            .logs()
            .into_iter()
            .filter(|line| line.level >= LogLevel::Warn)
            .collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

impl World for NativeWorld {
    fn upstream(&mut self, upstream: Upstream) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    fn send(&mut self, request: Request) -> Response {
        let worker = self.host.worker(self.next_worker);
        self.next_worker = (self.next_worker + 1) % self.host.worker_count();
        let outcome = worker.send(to_host(&request));
        assert!(
            !outcome.was_broken_off(),
            "the response broke off: {outcome:?}"
        );
        let received = outcome.upstream_requests().iter().map(as_received);
        self.received.extend(received);
        as_response(outcome.response())
    }

    fn received(&mut self) -> Vec<Request> {
        mem::take(&mut self.received)
    }

    fn counter(&mut self, name: &str) -> u64 {
        self.host.counter(name)
    }

    fn pass(&mut self, time: Duration) {
        self.host.advance(time);
    }
}

fn native(filter: &Filter) -> host::Filter {
    match filter {
        Filter::Plugin { module, config } => {
            let init = match *module {
                "rate_limit" => portcullis_host::start::<portcullis_rate_limit::RateLimit>,
                "security_headers" => {
                    portcullis_host::start::<portcullis_security_headers::SecurityHeaders>
                }
                other => panic!("there is no plugin {other}"),
            };
            host::Filter::new(module, init)
                .vm_id("portcullis")
                .config(config)
        }
        Filter::DenyAll => host::Filter::new("deny-all", || {
            proxy_wasm::set_root_context(|_| Box::new(DenyAll));
        }),
        Filter::Claims => host::Filter::new("claims", claims_filter::start),
    }
}

struct DenyAll;

impl Context for DenyAll {}

impl RootContext for DenyAll {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(DenyAll))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for DenyAll {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.send_http_response(403, Vec::new(), Some(b"denied\n"));
        Action::Pause
    }
}

fn answer(upstream: &Upstream) -> Answer {
    match upstream {
        Upstream::Unreachable => Answer::connect_failure(),
        Upstream::Answers(response) => {
            let answer = host::Response::new(response.status);
            let answer = response
                .headers
                .iter()
                .fold(answer, |answer, (name, value)| answer.header(name, value));
            match response.body.is_empty() {
                true => answer.into(),
                false => answer.body(&response.body).into(),
            }
        }
    }
}

fn to_host(request: &Request) -> host::Request {
    let mut sent = host::Request::new(&request.method, &request.path).header("host", &request.host);
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    if !request.body.is_empty() {
        sent = sent.body(&request.body);
    }
    if let Some(client) = request.client {
        sent = sent.property("source.address", socket_address(client).as_str());
    }
    match request.tls {
        true => sent.tls(),
        false => sent,
    }
}

/// As Envoy writes an address that it has from `x-forwarded-for`: without a port.
fn socket_address(ip: IpAddr) -> String {
    SocketAddr::new(ip, 0).to_string()
}

fn as_received(received: &host::Request) -> Request {
    Request {
        method: received.method().to_owned(),
        path: received.path().to_owned(),
        host: received
            .header_value(":authority")
            .unwrap_or_default()
            .to_owned(),
        tls: false,
        client: None,
        headers: fields(received.headers()),
        body: received.body_bytes(),
    }
}

fn as_response(response: &host::Response) -> Response {
    Response {
        status: response.status(),
        headers: fields(response.headers()),
        body: response.body_bytes(),
    }
}

/// The headers without the pseudo headers.
fn fields(headers: &host::Headers) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .filter(|(name, _)| !name.starts_with(':'))
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}
