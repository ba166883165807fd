//! Budgets that respect a circuit breaker.

use std::time::Duration;

use serde_json::{Value, json};

use super::{budget, counter_by_reason, failure, gauge, pay, plugin};
use crate::{Answer, Cluster, Filter, OTHER_PREFIX, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let budget = respecting();
    vec![
        Scenario {
            name: "retry_budget::nothing_is_retried_while_the_breaker_is_open",
            filters: vec![watch(), plugin(&budget)],
            story: open_breaker,
        },
        Scenario {
            name: "retry_budget::a_breaker_that_is_not_there_is_shown",
            filters: vec![plugin(&budget)],
            story: missing_breaker,
        },
        Scenario {
            name: "retry_budget::the_gauges_of_a_budget_that_is_gone_are_0",
            filters: vec![plugin(&budget)],
            story: gone,
        },
        Scenario {
            name: "retry_budget::the_order_of_filters_does_not_matter_to_a_breaker",
            filters: vec![plugin(&budget), watch()],
            story: breaker_behind,
        },
    ]
}

fn respecting() -> Value {
    budget(json!({
        "key": ["cluster"], "max_retries": 1, "retry_on": "5xx",
        "inbound_retries": "deny", "respect_breaker": "edge/watch",
    }))
}

/// A breaker that opens when requests to `/trip` fail twice in a row, and rejects no others.
fn watch() -> Filter {
    breaker("watch")
}

fn breaker(name: &str) -> Filter {
    let config = json!({
        "name": "edge",
        "breakers": [{
            "name": name, "match": {"path": {"prefix": "/trip"}}, "key": ["cluster"],
            "consecutive_failures": 2, "open": {"base": "1h"},
        }],
    });
    Filter::Plugin {
        module: "circuit_breaker",
        config: config.to_string(),
    }
}

/// Retries ignore a missing breaker, and it may be configured later.
fn missing_breaker(world: &mut dyn World) {
    assert_eq!(gauge(world, "breaker_missing"), 1);
    pay(world, 5);
    world.upstream(Upstream::Answers(failure()));
    world.send(Request::get("/"));
    assert_eq!(world.received().len(), 2);
    assert_eq!(gauge(world, "breaker_missing"), 1);

    world.reconfigure(&[watch(), plugin(&respecting())]);
    world.send(Request::post("/"));
    assert_eq!(gauge(world, "breaker_missing"), 0);

    // The next push removes it.
    world.reconfigure(&[breaker("other"), plugin(&respecting())]);
    world.send(Request::post("/"));
    assert_eq!(gauge(world, "breaker_missing"), 1);
}

fn gone(world: &mut dyn World) {
    pay(world, 5);
    assert!(gauge(world, "balance") > 0);
    assert_eq!(gauge(world, "breaker_missing"), 1);

    // A request under way is the last to count there.
    let slow = Answer::from(Response::new(200)).after(Duration::from_millis(500));
    world.upstream(Upstream::always(slow));
    let under_way = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);
    let other = json!({"name": "edge", "budgets": [{"name": "other"}]});
    world.reconfigure(&[plugin(&other)]);
    assert_eq!(world.finish(under_way).status, 200);
    world.pass(Duration::from_secs(3));
    assert_eq!(
        (gauge(world, "balance"), gauge(world, "breaker_missing")),
        (0, 0)
    );

    // It may return, disabled.
    world.reconfigure(&[plugin(&respecting())]);
    pay(world, 1);
    assert!(gauge(world, "balance") > 0);
    assert_eq!(gauge(world, "breaker_missing"), 1);
    let mut off = respecting();
    off["mode"] = json!("off");
    world.reconfigure(&[plugin(&off)]);
    world.send(Request::get("/"));
    assert_eq!(
        (gauge(world, "balance"), gauge(world, "breaker_missing")),
        (0, 0)
    );
}

fn breaker_behind(world: &mut dyn World) {
    world.send(Request::get("/"));
    assert_eq!(gauge(world, "breaker_missing"), 0);
}

fn open_breaker(world: &mut dyn World) {
    assert_eq!(gauge(world, "breaker_missing"), 0);
    pay(world, 20);
    world.upstream(Upstream::Answers(failure()));
    world.send(Request::get("/"));
    assert_eq!(world.received().len(), 2);

    for _ in 0..2 {
        world.send(Request::post("/trip"));
    }
    assert_eq!(world.received().len(), 2);
    let response = world.send(Request::get("/"));
    assert_eq!(world.received().len(), 1);
    let stop = response.get_header("x-portcullis-retry");
    assert_eq!(stop.as_deref(), Some("no"));
    let retry = Request::get("/").header("x-envoy-attempt-count", "2");
    world.send(retry);
    assert!(world.received().is_empty());
    let denied = counter_by_reason(world, "inbound_denied", "breaker_open");
    assert_eq!(denied, 1);

    // It is open for one cluster, and closed for the other.
    world.serve(crate::Cluster::Other, Upstream::Answers(failure()));
    for _ in 0..5 {
        world.send(Request::post(OTHER_PREFIX));
    }
    world.received_by(crate::Cluster::Other);
    world.send(Request::get(OTHER_PREFIX));
    assert_eq!(world.received_by(crate::Cluster::Other).len(), 2);
}
