//! What circuit-breaker promises under load, on a real Envoy with several workers: exact permits, exact
//! counts. Everything else that a user would notice is a scenario.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod matrix;
mod probes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use serde_json::{Value, json};

/// More than the cores, so that a worker may be preempted between reading and writing.
const WORKERS: u32 = 4;
/// The time for which a circuit stays open.
const OPEN: Duration = Duration::from_secs(1);

/// An Envoy whose instance `edge` has this breaker, named `all`.
fn builder(mut breaker: Value) -> Builder {
    breaker["name"] = json!("all");
    breaker["open"] = json!({"base": "1s", "factor": 1, "jitter": 0});
    let configuration = json!({"name": "edge", "breakers": [breaker]}).to_string();
    Envoy::builder()
        .concurrency(WORKERS)
        .connection_manager(json!({"access_log": []}))
        .plugin(&PluginFilter::new("circuit-breaker").configuration(&configuration))
}

/// Sends a number of requests over concurrent connections. Returns their statuses.
fn statuses(envoy: &Envoy, connections: usize, requests: usize, path: &'static str) -> Vec<u16> {
    let request = move |_| Request::get(path);
    load::run(envoy.address(PLAIN), connections, requests, request)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|own| **own == status).count()
}

/// A counter or gauge of the breaker.
fn stat(envoy: &Envoy, metric: &str) -> u64 {
    envoy.counter(&format!(
        "portcullis.circuit_breaker.policy=.=edge;.;breaker=.=all;.;{metric}"
    ))
}

/// Fails `/fails` immediately. Answers everything else after a delay.
fn slow_or_failing(request: &Request) -> Reply {
    if request.target == "/fails" {
        return Reply::new(503);
    }
    thread::sleep(Duration::from_millis(700));
    Reply::new(200)
}

#[test]
fn of_64_clients_that_wait_as_many_pass_as_there_are_permits() {
    const CLIENTS: usize = 64;
    const PERMITS: usize = 5;
    let envoy = builder(json!({
        "key": ["cluster"], "consecutive_failures": 1, "half_open": {"permits": PERMITS}
    }))
    .upstream(slow_or_failing)
    .start();
    for round in 1..=3 {
        assert_eq!(statuses(&envoy, 1, 2, "/fails"), [503, 503]);
        let before = envoy.upstream().requests().len();
        thread::sleep(OPEN);

        let statuses = statuses(&envoy, CLIENTS, CLIENTS, "/");

        assert_eq!(count(&statuses, 200), PERMITS, "round {round}");
        assert_eq!(count(&statuses, 503), CLIENTS - PERMITS, "round {round}");
        assert_eq!(envoy.upstream().requests().len() - before, PERMITS);
        assert_eq!(stat(&envoy, "state"), 0, "they did well");
        assert_eq!(stat(&envoy, "closed"), round);
    }
    assert_eq!(stat(&envoy, "reason=.=consecutive;.;opened"), 3);
    assert_eq!(stat(&envoy, "leases_expired"), 0);
    assert_eq!(stat(&envoy, "gave_up"), 0);
    envoy.assert_no_vm_failed();
}

#[test]
fn every_result_of_every_worker_counts_once() {
    let envoy = builder(json!({
        "failure_rate": 50, "minimum_requests": 2000, "window": {"type": "time", "size": "1h"}
    }))
    .upstream(|request| Reply::new(if request.target == "/fails" { 503 } else { 200 }))
    .start();
    assert_eq!(count(&statuses(&envoy, 16, 1000, "/"), 200), 1000);
    statuses(&envoy, 16, 999, "/fails");
    assert_eq!(stat(&envoy, "state"), 0, "one is missing");
    statuses(&envoy, 1, 2, "/fails");
    assert_eq!((stat(&envoy, "state"), stat(&envoy, "open_keys")), (2, 1));
    assert_eq!(stat(&envoy, "failures"), 1000);
    assert_eq!(stat(&envoy, "reason=.=circuit_open;.;rejected"), 1);
    envoy.assert_no_vm_failed();
}

#[test]
fn never_more_are_under_way_than_may_be() {
    const MOST: usize = 5;
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let highest = Arc::clone(&most);
    let envoy = builder(json!({"max_concurrent": MOST}))
        .upstream(move |_| {
            highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
            now.fetch_sub(1, Ordering::SeqCst);
            Reply::new(200)
        })
        .start();

    let statuses = statuses(&envoy, 64, 5_000, "/");

    assert!(most.load(Ordering::SeqCst) <= MOST);
    let rejected = stat(&envoy, "reason=.=bulkhead;.;rejected") as usize;
    assert_eq!(count(&statuses, 503), rejected);
    assert!(rejected > 0 && count(&statuses, 200) > MOST);
    // No permit leaked: as many requests are admitted as before.
    let blocked: Vec<u16> = self::statuses(&envoy, MOST, MOST, "/");
    assert_eq!(count(&blocked, 200), MOST);
    envoy.assert_no_vm_failed();
}
