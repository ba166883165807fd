//! Requests that are already retries.

use serde_json::{Value, json};

use super::{balance, budget, counter, counter_by_reason, failure, pay, plugin, scenario};
use crate::{Filter, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "retry_budget::retries_from_elsewhere_pay_and_are_denied_when_nothing_is_left",
            &denying(),
            denied,
        ),
        scenario(
            "retry_budget::a_grpc_retry_is_denied_in_the_words_of_grpc",
            &denying(),
            denied_grpc,
        ),
        scenario(
            "retry_budget::retries_are_not_retried",
            &denying(),
            not_retried,
        ),
        scenario(
            "retry_budget::counted_retries_pass_and_leave_a_debt",
            &budget(json!({"inbound_retries": "count"})),
            counted,
        ),
        scenario(
            "retry_budget::retries_from_elsewhere_are_ignored_by_default",
            &budget(json!({"ratio": 100})),
            ignored,
        ),
        Scenario {
            name: "retry_budget::a_retry_that_is_not_sent_on_has_its_retry_back",
            filters: vec![plugin(&one_in_reserve()), Filter::DenyAll],
            story: answered_behind,
        },
    ]
}

fn denying() -> Value {
    budget(json!({
        "max_retries": 2, "inbound_retries": "deny", "idempotent_only": false,
        "backoff": {"base": "4s", "jitter": "none"},
    }))
}

/// A budget with a reserve, so that no request has to pay first.
fn one_in_reserve() -> Value {
    budget(json!({"inbound_retries": "deny", "min_retries_per_second": 1}))
}

fn retry(attempt: u32) -> Request {
    Request::get("/retried/").header("x-envoy-attempt-count", attempt.to_string())
}

fn denied(world: &mut dyn World) {
    pay(world, 5);
    assert_eq!(world.send(retry(1)).status, 200);
    assert_eq!(world.send(retry(2)).status, 200);
    let response = world.send(retry(3));
    assert_eq!(response.status, 503);
    assert_eq!(response.get_header("retry-after").as_deref(), Some("8"));
    assert_eq!(response.body, b"Retry budget exhausted\n");
    assert_eq!(response.get_header("grpc-retry-pushback-ms"), None);
    assert_eq!(world.received().len(), 2);
    assert_eq!(counter(world, "inbound_retries"), 2);
    assert_eq!(counter(world, "deposits"), 6);
    assert_eq!(
        counter_by_reason(world, "inbound_denied", "budget_empty"),
        1
    );
}

fn denied_grpc(world: &mut dyn World) {
    let retry = Request::grpc("/service/method").header("grpc-previous-rpc-attempts", "1");
    let response = world.send(retry);
    assert_eq!(response.status, 200);
    assert_eq!(response.get_header("grpc-status").as_deref(), Some("14"));
    let pushback = response.get_header("grpc-retry-pushback-ms");
    assert_eq!(pushback.as_deref(), Some("-1"));
    assert!(world.received().is_empty());
}

fn not_retried(world: &mut dyn World) {
    pay(world, 20);
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(world.send(retry(2)).status, 503);
    assert_eq!(world.received().len(), 1);
    assert_eq!(balance(world), 3);
}

fn counted(world: &mut dyn World) {
    for _ in 0..3 {
        assert_eq!(world.send(retry(2)).status, 200);
    }
    assert_eq!(counter(world, "inbound_retries"), 3);
    pay(world, 15);
    assert_eq!(balance(world), 0);
    pay(world, 5);
    assert_eq!(balance(world), 1);
}

fn ignored(world: &mut dyn World) {
    pay(world, 1);
    world.upstream(Upstream::at_first(1, failure(), Response::new(200)));
    assert_eq!(world.send(retry(5)).status, 200);
    assert_eq!(world.received().len(), 2);
    assert_eq!(counter(world, "inbound_retries"), 0);
    assert_eq!(counter(world, "deposits"), 2);
}

fn answered_behind(world: &mut dyn World) {
    for _ in 0..10 {
        assert_eq!(world.send(retry(2)).status, 403);
    }
    assert_eq!(balance(world), 1);
}
