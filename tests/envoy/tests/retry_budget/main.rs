//! What retry-budget promises under load, on a real Envoy with several workers: it does not multiply an
//! outage, and it retries single failures. Everything else that a user would notice is a scenario.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod chain;
mod endings;
mod routing;
mod storms;

use std::net::SocketAddr;
use std::time::Instant;

use portcullis_envoy_tests::bootstrap::{self, PLAIN};
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use serde_json::{Value, json};

/// The cluster that everything is sent to.
const SERVICE: &str = "service";
/// The ratio of all budgets here, in percent.
const RATIO: u64 = 20;
/// The reserve of all budgets here, in retries per second.
const RESERVE: u64 = 3;
/// The connections of the load: at most this many requests are in flight.
const CONNECTIONS: u64 = 16;

/// An Envoy in front of a service. Its route allows three retries; the plugin has one budget.
fn builder(service: SocketAddr, budget: Option<Value>) -> Builder {
    let builder = Envoy::builder()
        .concurrency(4)
        .cluster(bootstrap::cluster(SERVICE, service))
        .connection_manager(json!({"access_log": [], "route_config": routes()}));
    match budget {
        Some(mut budget) => {
            budget["name"] = json!("all");
            budget["ratio"] = json!(RATIO);
            budget["min_retries_per_second"] = json!(RESERVE);
            let config = json!({"name": "edge", "budgets": [budget]});
            let plugin = PluginFilter::new("retry-budget");
            builder.plugin(&plugin.configuration(&config.to_string()))
        }
        None => builder,
    }
}

fn routes() -> Value {
    json!({"virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "include_request_attempt_count": true,
        "routes": [{"match": {"prefix": "/"}, "route": {
            "cluster": SERVICE,
            "retry_policy": {
                "retry_on": "5xx",
                "num_retries": 3,
                "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
            },
        }}],
    }]})
}

/// The result of a load.
struct Outcome {
    requests: u64,
    /// Number of times that Envoy has sent one of them.
    attempts: u64,
    /// Number of responses with status 200.
    succeeded: u64,
    /// Upper bound on the seconds of the clock in which the load ran, the first and the last included.
    seconds: u64,
}

/// Sends GET requests for `/0`, `/1` and so on over [`CONNECTIONS`] connections.
fn run(envoy: &Envoy, requests: usize) -> Outcome {
    let before = attempts(envoy);
    let begun = Instant::now();
    let statuses = load::run(
        envoy.address(PLAIN),
        CONNECTIONS as usize,
        requests,
        |number| Request::get(format!("/{number}")),
    );
    let statuses = statuses.unwrap_or_else(|error| panic!("{error}"));
    let seconds = begun.elapsed().as_secs() + 2;
    envoy.wait_for_stat("http.ingress.downstream_rq_active", 0);
    envoy.assert_no_vm_failed();
    Outcome {
        requests: requests as u64,
        attempts: attempts(envoy) - before,
        succeeded: statuses.iter().filter(|status| **status == 200).count() as u64,
        seconds,
    }
}

fn attempts(envoy: &Envoy) -> u64 {
    envoy.counter(&format!("cluster.{SERVICE}.upstream_rq_total"))
}

/// The plugin with one budget. Unless `budget` overrides it, each request deposits a whole retry, there is no
/// reserve, and deposits outlast the test.
fn plugin(budget: &Value) -> PluginFilter {
    let mut all = json!({
        "name": "all", "ratio": 100, "window": "1h", "min_retries_per_second": 0,
    });
    for (field, value) in budget.as_object().into_iter().flatten() {
        all[field] = value.clone();
    }
    let config = json!({"name": "edge", "budgets": [all]});
    PluginFilter::new("retry-budget").configuration(&config.to_string())
}

/// A counter or gauge of the budget.
fn count(envoy: &Envoy, metric: &str) -> u64 {
    envoy.counter(&format!(
        "portcullis.retry_budget.policy=.=edge;.;budget=.=all;.;{metric}"
    ))
}
