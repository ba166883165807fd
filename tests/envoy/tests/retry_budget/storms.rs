//! One Envoy in front of a service that fails, partly or completely.

use std::thread;
use std::time::Duration;

use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::{CONNECTIONS, RATIO, RESERVE, builder, count, run};

const REQUESTS: usize = 10_000;

/// Deposits outlast the test, however slow the machine is.
fn budget() -> Value {
    json!({"max_retries": 3, "window": "1h"})
}

/// Fails the first attempt of every tenth request.
fn flaky(request: &Request) -> Reply {
    let is_first = request.headers.text("x-envoy-attempt-count") == Some("1");
    let fails = request.target.ends_with('9') && is_first;
    Reply::new(if fails { 503 } else { 200 })
}

#[test]
fn a_total_failure_is_not_multiplied() {
    let service = Upstream::start(|_| Reply::new(503));
    let without = run(&builder(service.address(), None).start(), REQUESTS);
    let envoy = builder(service.address(), Some(budget())).start();
    let with = run(&envoy, REQUESTS);

    println!(
        "{REQUESTS} requests, all fail: sent {} times without, {} times with a budget",
        without.attempts, with.attempts
    );
    assert_eq!(without.attempts, without.requests * 4);
    let retries = with.attempts - with.requests;
    let bought = with.requests * RATIO / 100;
    // The promise: deposits buy a retry for every fifth request, and the reserve adds its retries in every second
    // that the load touched.
    let most = bought + RESERVE * with.seconds;
    assert!(retries <= most, "{retries} retries, at most {most}");
    // And the budget is spent: a request that arrives wants three retries, which is more than the others have
    // deposited meanwhile, so it leaves less than one. At the end there is also what the last request of each
    // connection has deposited, since no request came after it.
    let unspent = 1 + CONNECTIONS * RATIO / 100;
    assert!(retries + unspent >= bought, "{retries} retries of {bought}");
    assert_eq!(count(&envoy, "retries_used"), retries);
    assert_eq!(count(&envoy, "retries_granted"), retries);
    assert_eq!(count(&envoy, "deposits"), with.requests);
    assert_eq!(count(&envoy, "gave_up"), 0);
}

#[test]
fn a_partial_failure_is_not_noticed() {
    let service = Upstream::start(|_| Reply::new(200));
    let envoy = builder(service.address(), Some(budget())).start();
    // Successful requests pay for those that are in flight when the failures begin.
    run(&envoy, 1_000);
    service.set_script(flaky);
    let outcome = run(&envoy, REQUESTS);

    println!(
        "{REQUESTS} requests, a tenth fails once: sent {} times, {} succeed",
        outcome.attempts, outcome.succeeded
    );
    assert_eq!(outcome.succeeded, outcome.requests);
    assert_eq!(outcome.attempts, outcome.requests * 110 / 100);
    assert_eq!(count(&envoy, "reason=.=budget_empty;.;denied"), 0);
    // Every retry that was reserved and not used is back.
    let left = (11_000 * RATIO / 100) - 1_000;
    let balance = count(&envoy, "balance");
    assert!((left..=left + RESERVE).contains(&balance), "{balance}");
}

#[test]
fn what_heals_is_retried_again_within_a_window() {
    const WINDOW: Duration = Duration::from_secs(2);
    let service = Upstream::start(|_| Reply::new(503));
    let budget = json!({"max_retries": 1, "window": "2s"});
    let envoy = builder(service.address(), Some(budget)).start();
    run(&envoy, 3_000);
    service.set_script(|_| Reply::new(200));
    // No failure of the past keeps a request from succeeding.
    assert_eq!(run(&envoy, 100).succeeded, 100);
    thread::sleep(WINDOW);
    run(&envoy, 300);
    service.set_script(flaky);
    let outcome = run(&envoy, 1_000);
    assert_eq!(outcome.succeeded, outcome.requests);
}
