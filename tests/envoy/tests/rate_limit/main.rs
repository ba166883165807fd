//! What rate-limit promises under load, on a real Envoy with several workers: exact counts and bounded memory.
//! Everything else that a user would notice is a scenario.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod exactness;
mod flood;
mod integration;
mod pushes;
mod routing;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use serde_json::{Value, json};

/// More than the cores, so that a worker may be preempted between reading and writing.
const WORKERS: u32 = 4;

fn plugin(configuration: &Value) -> PluginFilter {
    PluginFilter::new("rate-limit").configuration(&configuration.to_string())
}

/// An Envoy with the plugin, which answers admitted requests with 200.
fn builder(configuration: &Value) -> Builder {
    Envoy::builder()
        .concurrency(WORKERS)
        .connection_manager(json!({"access_log": []}))
        .plugin(&plugin(configuration))
        .route(json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
        }))
}

/// Sends requests over 16 connections. Returns their statuses, each of them 200 or 429.
fn statuses(
    envoy: &Envoy,
    requests: usize,
    request: impl Fn(usize) -> Request + Send + Sync + 'static,
) -> Vec<u16> {
    let statuses = load::run(envoy.address(PLAIN), 16, requests, request)
        .unwrap_or_else(|error| panic!("{error}"));
    let other = statuses.iter().find(|status| !matches!(status, 200 | 429));
    assert_eq!(other, None, "neither 200 nor 429");
    statuses
}

fn admitted(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 200).count()
}

fn with_key(key: impl std::fmt::Display) -> Request {
    Request::get("/").header("x-api-key", key.to_string())
}

/// A counter or gauge of the instance `edge`.
fn count(envoy: &Envoy, limit: &str, metric: &str) -> u64 {
    envoy.counter(&format!(
        "portcullis.rate_limit.policy=.=edge;.;limit=.={limit};.;{metric}"
    ))
}
