//! Two Envoys in a row, both of which retry.

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::{Outcome, RESERVE, attempts, builder, run};

const REQUESTS: usize = 2_000;

/// Sends requests through two Envoys to a service that fails. Returns the number of requests at the service, and the
/// outcome at the first Envoy.
fn storm(budget: Option<Value>) -> (u64, Outcome) {
    let service = Upstream::start(|_| Reply::new(503));
    let inner = builder(service.address(), budget.clone()).start();
    let outer = builder(inner.address(PLAIN), budget).start();
    let outcome = run(&outer, REQUESTS);
    inner.assert_no_vm_failed();
    (attempts(&inner), outcome)
}

#[test]
fn retries_of_retries_stay_within_one_budget() {
    let (without, outcome) = storm(None);
    let budget = json!({"max_retries": 3, "window": "1h", "inbound_retries": "deny"});
    let (with, seen) = storm(Some(budget));

    println!(
        "{REQUESTS} requests through two Envoys, all fail: the service is asked {without} times \
         without, {with} times with budgets"
    );
    assert_eq!(without, outcome.requests * 16);
    let most = seen.requests * 120 / 100 + RESERVE * seen.seconds;
    assert!(with <= most, "{with} of {most}");
    let most = seen.requests * 120 / 100 + RESERVE * seen.seconds;
    assert!(seen.attempts <= most, "{} of {most}", seen.attempts);
}
