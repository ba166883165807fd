//! The conditions on which Envoy retries.

use serde_json::json;

use super::{budget, counter, counter_by_reason, failure, ok, pay, scenario};
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "retry_budget::an_empty_budget_is_counted_where_the_route_has_no_policy",
            &budget(json!({"max_retries": 2, "retry_on": "5xx", "ratio": 50})),
            empty_without_policy,
        ),
        scenario(
            "retry_budget::what_would_not_be_retried_is_not_denied",
            &budget(json!({"retry_on": "connect-failure", "ratio": 0})),
            nothing_to_retry,
        ),
        scenario(
            "retry_budget::a_status_that_comes_too_late_for_a_retry_is_not_denied",
            &budget(json!({"retry_on": "unavailable", "idempotent_only": false, "ratio": 0})),
            status_in_trailers,
        ),
        scenario(
            "retry_budget::statuses_can_be_named",
            &budget(json!({"retriable_status_codes": [409, 418]})),
            statuses,
        ),
        scenario(
            "retry_budget::response_headers_can_be_named",
            &budget(json!({"retry_on": "connect-failure", "retriable_headers": ["X-Try-Again"]})),
            headers,
        ),
        scenario(
            "retry_budget::a_query_is_retried",
            &budget(json!({"retry_on": "5xx"})),
            query,
        ),
    ]
}

fn empty_without_policy(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    let mut sent = 0;
    for _ in 0..4 {
        assert_eq!(world.send(Request::get("/")).status, 503);
        sent += world.received().len();
    }
    // Every second request pays for a retry: the last request has it.
    assert_eq!(sent, 4 + 1);
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 4);
    // A request that should not be retried is not counted as denied.
    world.send(Request::post("/"));
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 4);
}

/// Envoy retries on a gRPC status in the headers only.
fn status_in_trailers(world: &mut dyn World) {
    let mut denied_with = |response| {
        world.upstream(Upstream::Answers(response));
        world.send(Request::grpc("/service/method"));
        counter_by_reason(world, "denied", "budget_empty")
    };
    assert_eq!(denied_with(Response::grpc(14)), 0);
    assert_eq!(denied_with(Response::grpc_trailers_only(14)), 1);
}

fn nothing_to_retry(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    world.send(Request::get("/"));
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 0);
    world.upstream(Upstream::Unreachable);
    world.send(Request::get("/"));
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 1);
}

/// How often the upstream gets a request that it answers in this way.
fn attempts(world: &mut dyn World, path: &str, response: Response) -> usize {
    let status = response.status;
    world.upstream(Upstream::Answers(response));
    assert_eq!(world.send(Request::get(path)).status, status);
    world.received().len()
}

fn statuses(world: &mut dyn World) {
    pay(world, 50);
    for path in ["/", "/retried/"] {
        assert_eq!(attempts(world, path, Response::new(409)), 2, "{path}");
        assert_eq!(attempts(world, path, Response::new(418)), 2, "{path}");
        assert_eq!(attempts(world, path, Response::new(404)), 1, "{path}");
    }
    // The route's own conditions apply as well.
    assert_eq!(attempts(world, "/", failure()), 1);
    assert_eq!(attempts(world, "/retried/", failure()), 2);
    // A client cannot add conditions.
    world.upstream(Upstream::Answers(Response::new(404)));
    let asking = Request::get("/").header("x-envoy-retriable-status-codes", "404");
    world.send(asking);
    assert_eq!(world.received().len(), 1);
}

fn headers(world: &mut dyn World) {
    pay(world, 50);
    let again = || ok().header("x-try-again", "please");
    for path in ["/", "/retried/"] {
        assert_eq!(attempts(world, path, again()), 2, "{path}");
        assert_eq!(attempts(world, path, ok()), 1, "{path}");
    }
    world.upstream(Upstream::Unreachable);
    world.send(Request::get("/"));
    assert_eq!(counter(world, "retries_used"), 3);
}

fn query(world: &mut dyn World) {
    pay(world, 5);
    world.upstream(Upstream::at_first(1, failure(), ok()));
    let request = Request {
        method: "QUERY".into(),
        ..Request::post("/")
    };
    // Envoy answers 400 without a content type.
    let request = request.header("content-type", "text/plain");
    assert_eq!(world.send(request).status, 200);
    assert_eq!(world.received().len(), 2);
}
