//! retry-budget on a host with several workers, in situations that only the native host can create on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod failures;
mod races;
mod warnings;

use proxy_wasm_native_host::{Filter, Host, HostBuilder, Request, Response, Route};
use serde_json::{Value, json};

/// A host whose route retries three times, with one budget whose window outlasts the test.
fn builder(on_error: &str) -> HostBuilder {
    let config: Value = json!({
        "name": "edge", "on_error": on_error,
        "budgets": [{
            "name": "all", "window": "1h", "min_retries_per_second": 0, "max_retries": 3,
            "inbound_retries": "deny",
        }],
    });
    let init = portcullis_proxy_wasm::start::<retry_budget::RetryBudget>;
    let filter = Filter::from_fn("retry_budget", init)
        .vm_id("portcullis")
        .config(config.to_string());
    Host::builder()
        .filter(filter)
        .route(Route::new("retried").retry("5xx", 3))
}

/// An upstream that fails for all paths but `/`.
fn upstream(request: &Request) -> Response {
    Response::new(if request.path() == "/" { 200 } else { 503 })
}

/// The full name of a metric of the budget.
fn name(metric: &str) -> String {
    portcullis_scenarios::counter("retry_budget", "edge", &[("budget", "all")], metric)
}

fn counter(host: &Host, metric: &str) -> u64 {
    host.counter(&name(metric))
}
