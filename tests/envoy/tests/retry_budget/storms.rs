//! One Envoy before a service that fails, in part or altogether.

use std::thread;
use std::time::Duration;

use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::{RESERVE, builder, count, run};

const REQUESTS: usize = 10_000;

/// The budget forgets nothing while a test lasts, however slow the machine is.
fn budget() -> Value {
    json!({"max_retries": 3, "window": "1h"})
}

/// Fails each tenth request when it is first sent.
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
    let most = with.requests * 120 / 100 + RESERVE * with.seconds;
    assert!(with.attempts <= most, "{} of {most}", with.attempts);
    // And the budget is made use of.
    assert!(with.attempts >= with.requests * 119 / 100);
    let retries = with.attempts - with.requests;
    assert_eq!(count(&envoy, "retries_used"), retries);
    assert_eq!(count(&envoy, "retries_granted"), retries);
    assert_eq!(count(&envoy, "deposits"), with.requests);
    assert_eq!(count(&envoy, "gave_up"), 0);
}

#[test]
fn a_partial_failure_is_not_noticed() {
    let service = Upstream::start(|_| Reply::new(200));
    let envoy = builder(service.address(), Some(budget())).start();
    // Requests that go well pay for those under way when the failures begin.
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
    // What was reserved and not used is back, to the last retry.
    let left = (11_000 * 20 / 100) - 1_000;
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
    // Nothing keeps a request from succeeding.
    assert_eq!(run(&envoy, 100).succeeded, 100);
    thread::sleep(WINDOW);
    run(&envoy, 300);
    service.set_script(flaky);
    let outcome = run(&envoy, 1_000);
    assert_eq!(outcome.succeeded, outcome.requests);
}
