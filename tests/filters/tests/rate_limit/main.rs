//! What rate-limit owes to a host with several workers: what only the native host can bring about on
//! purpose.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are tests"
)]

mod creation;
mod failures;
mod lifetimes;
mod memory;
mod races;
mod remembered;

use proxy_wasm_native_host::{Filter, Host, HostBuilder, Request};
use serde_json::{Value, json};

const VM: &str = "portcullis";

/// The instance `edge` with these limits.
fn config(limits: Value) -> Value {
    json!({"name": "edge", "limits": limits})
}

fn filter(config: &Value) -> Filter {
    let init = portcullis_host::start::<portcullis_rate_limit::RateLimit>;
    Filter::from_fn("rate_limit", init)
        .vm_id(VM)
        .config(config.to_string())
}

fn builder(config: &Value) -> HostBuilder {
    Host::builder().filter(filter(config))
}

/// How many of so many requests pass.
fn admitted(host: &Host, request: &Request, times: usize) -> usize {
    let passes = |_: &usize| host.send(request.clone()).status() == 200;
    (0..times).filter(passes).count()
}

/// A request of that API key.
fn with_key(key: &str) -> Request {
    Request::get("/").header("x-api-key", key)
}

/// The full name of a metric of the instance `edge`.
fn name(limit: &str, metric: &str) -> String {
    portcullis_scenarios::counter("rate_limit", "edge", &[("limit", limit)], metric)
}

fn counter(host: &Host, limit: &str, metric: &str) -> u64 {
    host.counter(&name(limit, metric))
}
