//! Which requests are retried.

use serde_json::json;

use super::{budget, counter, failure, ok, pay, scenario};
use crate::{Request, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "retry_budget::retries_can_be_switched_on_where_the_route_has_none",
            &budget(json!({"max_retries": 2, "retry_on": "5xx"})),
            switched_on,
        ),
        scenario(
            "retry_budget::a_client_cannot_ask_for_more",
            &budget(json!({"max_retries": 1})),
            clients_ask,
        ),
        scenario(
            "retry_budget::what_cannot_be_repeated_is_not_retried",
            &budget(json!({"max_retries": 1, "retry_on": "5xx"})),
            posts,
        ),
        scenario(
            "retry_budget::posts_can_be_retried_if_that_is_wanted",
            &budget(json!({"max_retries": 1, "retry_on": "5xx", "idempotent_only": false})),
            posts_may_be,
        ),
        scenario(
            "retry_budget::the_first_budget_that_matches_decides",
            &json!({"name": "edge", "budgets": [
                {"name": "none", "match": {"path": {"prefix": "/retried/a"}}, "max_retries": 0},
                {"name": "all", "match": {"route": "retried"}, "ratio": 1000},
            ]}),
            first_match,
        ),
    ]
}

/// How often the upstream gets a request that it fails to answer.
fn attempts(world: &mut dyn World, request: Request) -> usize {
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(world.send(request).status, 503);
    world.received().len()
}

fn switched_on(world: &mut dyn World) {
    assert_eq!(attempts(world, Request::get("/")), 1);
    pay(world, 9);
    world.upstream(Upstream::at_first(1, failure(), ok()));
    assert_eq!(world.send(Request::get("/")).status, 200);
    assert_eq!(world.received().len(), 2);
    pay(world, 10);
    assert_eq!(attempts(world, Request::get("/")), 3);
}

fn clients_ask(world: &mut dyn World) {
    let asking = |path| {
        Request::get(path)
            .header("x-envoy-max-retries", "9")
            .header("x-envoy-retry-on", "5xx")
            .header("x-envoy-retriable-status-codes", "503")
    };
    pay(world, 20);
    // The budget would pay, but there is no policy with conditions, so there are no retries.
    assert_eq!(attempts(world, asking("/")), 1);
    assert_eq!(attempts(world, asking("/retried/")), 2);
}

fn posts(world: &mut dyn World) {
    pay(world, 20);
    assert_eq!(attempts(world, Request::post("/")), 1);
    assert_eq!(attempts(world, Request::post("/retried/")), 1);
    assert_eq!(attempts(world, Request::get("/")), 2);
}

fn posts_may_be(world: &mut dyn World) {
    pay(world, 20);
    assert_eq!(attempts(world, Request::post("/")), 2);
}

fn first_match(world: &mut dyn World) {
    assert_eq!(attempts(world, Request::get("/retried/a")), 1);
    assert_eq!(counter(world, "deposits"), 0);
    assert_eq!(attempts(world, Request::get("/retried/b")), 2);
    assert_eq!(counter(world, "deposits"), 1);
    // Other routes are not configured.
    assert_eq!(attempts(world, Request::get("/")), 1);
    assert_eq!(counter(world, "deposits"), 1);
}
