//! Behaviour with several workers and a failing host, in situations that only the native host can produce on
//! demand.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are tests"
)]

mod block_cache;
mod creation;
mod failures;
mod lifetimes;
mod memory;
mod races;
mod services;

use proxy_wasm_native_host::{Filter, Host, HostBuilder, Request};
use serde_json::{Value, json};

const VM: &str = "portcullis";

/// The instance `edge` with these limits.
fn config(limits: Value) -> Value {
    json!({"name": "edge", "limits": limits})
}

fn filter(config: &Value) -> Filter {
    let init = portcullis_proxy_wasm::start::<rate_limit::RateLimit>;
    Filter::from_fn("rate_limit", init)
        .vm_id(VM)
        .config(config.to_string())
}

fn builder(config: &Value) -> HostBuilder {
    Host::builder().filter(filter(config))
}

/// Sends this many requests and returns the number that pass.
fn admitted(host: &Host, request: &Request, times: usize) -> usize {
    let passes = |_: &usize| host.send(request.clone()).status() == 200;
    (0..times).filter(passes).count()
}

/// A request with this API key.
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
