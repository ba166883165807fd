//! The verdict on each kind of ending.

use std::time::Duration;

use serde_json::json;

use super::{
    breaker, counter, failure, gauge, get, ok, plugin, reached, reason, scenario, sensitive, silent,
};
use crate::{
    Answer, Cluster, Filter, SHORT_TIMEOUT_PREFIX, NO_ROUTE_PREFIX, RETRIED_PREFIX, Request, Response,
    Scenario, Upstream, World,
};

pub(super) fn scenarios() -> Vec<Scenario> {
    let with = |name, filters, story| Scenario {
        name,
        filters,
        story,
    };
    vec![
        scenario(
            "circuit_breaker::an_upstream_that_cannot_be_reached_fails",
            &sensitive(),
            unreachable,
        ),
        scenario(
            "circuit_breaker::an_upstream_that_hangs_up_fails",
            &sensitive(),
            reset,
        ),
        scenario(
            "circuit_breaker::an_upstream_that_is_too_late_fails",
            &sensitive(),
            timeout,
        ),
        scenario(
            "circuit_breaker::a_response_that_breaks_off_is_a_failure",
            &sensitive(),
            broken_off,
        ),
        scenario(
            "circuit_breaker::grpc_goes_by_its_own_status",
            &sensitive(),
            grpc,
        ),
        scenario(
            "circuit_breaker::grpc_without_a_message_goes_by_its_own_status",
            &sensitive(),
            grpc_trailers_only,
        ),
        scenario(
            "circuit_breaker::grpc_web_goes_by_a_status_in_its_headers",
            &sensitive(),
            grpc_web,
        ),
        scenario(
            "circuit_breaker::a_retried_request_counts_once",
            &sensitive(),
            retried,
        ),
        scenario(
            "circuit_breaker::what_clients_do_wrong_is_no_failure",
            &sensitive(),
            client_errors,
        ),
        scenario(
            "circuit_breaker::clients_that_leave_are_no_failures",
            &sensitive(),
            clients_leave,
        ),
        scenario(
            "circuit_breaker::what_envoy_answers_without_the_upstream_is_no_result",
            &breaker(json!({"consecutive_failures": 1, "failures": {"statuses": ["4xx", "5xx"]}})),
            no_route,
        ),
        with(
            "circuit_breaker::what_a_filter_behind_answers_is_no_result",
            vec![plugin(&forbidden_fails()), Filter::DenyAll],
            answered_behind,
        ),
        with(
            "circuit_breaker::what_a_filter_before_answers_is_not_seen",
            vec![Filter::DenyAll, plugin(&forbidden_fails())],
            answered_before,
        ),
    ]
}

fn forbidden_fails() -> serde_json::Value {
    breaker(json!({"consecutive_failures": 1, "failures": {"statuses": [403]}}))
}

fn assert_open(world: &mut dyn World) {
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reason(&get(world)), "circuit_open");
    assert_eq!(counter(world, "failures"), 1);
}

fn unreachable(world: &mut dyn World) {
    world.upstream(Upstream::Unreachable);
    assert_eq!(get(world).status, 503);
    assert_open(world);
}

fn reset(world: &mut dyn World) {
    world.upstream(Upstream::always(Answer::reset()));
    assert_eq!(get(world).status, 503);
    assert_open(world);
}

fn timeout(world: &mut dyn World) {
    world.upstream(silent());
    let response = world.send(Request::get(&format!("{SHORT_TIMEOUT_PREFIX}a")));
    assert_eq!(response.status, 504);
    assert_open(world);
}

fn broken_off(world: &mut dyn World) {
    world.upstream(Upstream::always(ok().broken_off()));
    let request = world.begin(Request::get("/"));
    assert!(world.finish(request).broken_off);
    assert_open(world);
}

fn grpc(world: &mut dyn World) {
    let call = || Request::grpc("/shop.Cart/Add");
    for status in [0, 5, 16] {
        world.upstream(Upstream::Answers(Response::grpc(status)));
        assert_eq!(world.send(call()).status, 200);
    }
    assert_eq!(gauge(world, "state"), 0);
    world.upstream(Upstream::Answers(Response::grpc(14)));
    world.send(call());
    assert_open(world);
}

fn grpc_trailers_only(world: &mut dyn World) {
    let call = || Request::grpc("/shop.Cart/Add");
    world.upstream(Upstream::Answers(Response::grpc_trailers_only(5)));
    world.send(call());
    assert_eq!(gauge(world, "state"), 0);
    world.upstream(Upstream::Answers(Response::grpc_trailers_only(13)));
    world.send(call());
    assert_open(world);
}

/// A response without a message, as servers with gRPC-Web send it.
fn grpc_web(world: &mut dyn World) {
    let response = |status: &str| {
        Response::new(200)
            .without_body()
            .header("content-type", "application/grpc-web+proto")
            .header("grpc-status", status)
    };
    let request =
        || Request::post("/shop.Cart/Add").header("content-type", "application/grpc-web+proto");
    for fine in ["0", "5"] {
        world.upstream(Upstream::Answers(response(fine)));
        assert_eq!(world.send(request()).status, 200);
    }
    assert_eq!(gauge(world, "state"), 0);
    world.upstream(Upstream::Answers(response("14")));
    world.send(request());
    assert_open(world);
}

fn retried(world: &mut dyn World) {
    let request = || Request::get(&format!("{RETRIED_PREFIX}a"));
    world.upstream(Upstream::at_first(2, failure(), ok()));
    assert_eq!(world.send(request()).status, 200);
    assert_eq!(
        (counter(world, "failures"), counter(world, "retries")),
        (0, 2)
    );
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(world.send(request()).status, 503);
    assert_eq!(
        (counter(world, "failures"), counter(world, "retries")),
        (1, 5)
    );
    assert_open(world);
}

fn client_errors(world: &mut dyn World) {
    for status in [400, 401, 404, 429] {
        world.upstream(Upstream::Answers(Response::new(status)));
        assert_eq!(reached(world, 3), 3);
    }
    assert_eq!(counter(world, "failures"), 0);
}

fn clients_leave(world: &mut dyn World) {
    world.upstream(silent());
    for number in 1..=3 {
        let request = world.begin(Request::get("/"));
        world.arrivals(Cluster::Upstream, 1);
        world.pass(Duration::from_millis(20));
        world.abandon(request);
        assert_eq!(counter(world, "abandoned"), number);
    }
    assert_eq!((gauge(world, "state"), counter(world, "failures")), (0, 0));
}

fn no_route(world: &mut dyn World) {
    for _ in 0..3 {
        let response = world.send(Request::get(&format!("{NO_ROUTE_PREFIX}a")));
        assert_eq!(response.status, 404);
    }
    assert_eq!((gauge(world, "state"), counter(world, "neutral")), (0, 3));
}

fn answered_behind(world: &mut dyn World) {
    for _ in 0..3 {
        assert_eq!(get(world).status, 403);
    }
    assert_eq!((gauge(world, "state"), counter(world, "neutral")), (0, 3));
}

fn answered_before(world: &mut dyn World) {
    for _ in 0..3 {
        assert_eq!(get(world).status, 403);
    }
    assert_eq!((gauge(world, "state"), counter(world, "neutral")), (0, 0));
}
