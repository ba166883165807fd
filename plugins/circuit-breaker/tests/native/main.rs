//! circuit-breaker on a host with several workers, in situations that only the native host can create on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod failures;
mod lifetimes;
mod races;

use std::time::Duration;

use proxy_wasm_native_host::{Filter, Host, HostBuilder, Request, Response};
use serde_json::{Value, json};

const VM: &str = "portcullis";
/// How long circuits stay open.
const OPEN: Duration = Duration::from_secs(5);
const STATUS_PATH: &str = "/portcullis/breakers";

/// The instance `edge` with the breaker `all`, which stays open for [`OPEN`] each time.
fn config(mut breaker: Value) -> Value {
    breaker["name"] = json!("all");
    breaker["open"] = json!({"base": "5s", "factor": 1, "jitter": 0});
    json!({"name": "edge", "status_path": STATUS_PATH, "breakers": [breaker]})
}

fn filter(config: &Value) -> Filter {
    let init = portcullis_proxy_wasm::start::<circuit_breaker::CircuitBreaker>;
    Filter::from_fn("circuit_breaker", init)
        .vm_id(VM)
        .config(config.to_string())
}

/// A host whose upstream fails for the path `/fails`.
fn builder(config: &Value) -> HostBuilder {
    Host::builder().filter(filter(config)).upstream(upstream)
}

fn upstream(request: &Request) -> Response {
    Response::new(if request.path() == "/fails" { 503 } else { 200 })
}

fn ok() -> Request {
    Request::get("/")
}

fn fails() -> Request {
    Request::get("/fails")
}

/// The reason for which a request is rejected; empty if it is not.
fn reason(host: &Host, request: Request) -> String {
    let outcome = host.send(request);
    let reason = outcome.response().header_value("x-portcullis-reason");
    reason.unwrap_or_default().to_owned()
}

/// The breaker in the status view.
fn status(host: &Host) -> Value {
    let body = host.send(Request::get(STATUS_PATH)).response().body_bytes();
    let view: Value = serde_json::from_slice(&body).unwrap();
    view["breakers"][0].clone()
}

/// The full name of a metric of the breaker.
fn name(metric: &str) -> String {
    portcullis_scenarios::counter("circuit_breaker", "edge", &[("breaker", "all")], metric)
}

fn counter(host: &Host, metric: &str) -> u64 {
    host.counter(&name(metric))
}

/// The gauges of the worst phase and of the open keys.
fn gauges(host: &Host) -> (u64, u64) {
    (host.gauge(&name("state")), host.gauge(&name("open_keys")))
}
