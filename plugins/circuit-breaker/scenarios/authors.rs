//! The authors of failures, and breakers that were removed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    breaker, counter, counter_by_reason, failure, gauge, get, named, ok, open, plugin, reason,
    scenario, sensitive,
};
use crate::{Answer, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let ignoring = json!({"consecutive_failures": 3,
        "failures": {"ignored": [404, "NOT_FOUND"]}});
    let by_name = json!({"consecutive_failures": 1, "failures": {"grpc": ["UNAVAILABLE"]}});
    let slow = json!({"slow": {"threshold": "400ms", "rate": 50}, "minimum_requests": 1});
    vec![
        scenario(
            "circuit_breaker::a_status_that_is_ignored_heals_nothing",
            &breaker(ignoring),
            ignored,
        ),
        scenario(
            "circuit_breaker::a_kind_of_request_that_is_refused_is_no_failure",
            &sensitive(),
            refused_kinds,
        ),
        scenario(
            "circuit_breaker::grpc_statuses_have_names",
            &breaker(by_name),
            grpc_names,
        ),
        scenario(
            "circuit_breaker::a_grpc_deadline_that_the_client_chose_is_its_own",
            &sensitive(),
            grpc_deadline,
        ),
        scenario(
            "circuit_breaker::a_request_with_a_body_is_slow_like_others",
            &breaker(slow),
            slow_with_body,
        ),
        scenario(
            "circuit_breaker::the_gauges_of_a_breaker_that_is_gone_are_0",
            &two(),
            gone,
        ),
        scenario(
            "circuit_breaker::the_gauges_of_a_breaker_that_is_off_are_0",
            &sensitive(),
            off,
        ),
    ]
}

fn two() -> Value {
    let sensitive = || json!({"consecutive_failures": 1});
    json!({"name": "edge", "breakers": [named("other", sensitive()), named("all", sensitive())]})
}

fn ignored(world: &mut dyn World) {
    for response in [failure(), failure(), Response::new(404)] {
        world.upstream(Upstream::Answers(response));
        get(world);
    }
    world.upstream(Upstream::Answers(Response::grpc(5)));
    world.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!(counter_by_reason(world, "neutral_by", "upstream"), 2);
    world.upstream(Upstream::Answers(failure()));
    get(world);
    assert_eq!(reason(&get(world)), "circuit_open");
}

fn refused_kinds(world: &mut dyn World) {
    for status in [501, 505] {
        world.upstream(Upstream::Answers(Response::new(status)));
        assert_eq!(get(world).status, status);
    }
    assert_eq!((gauge(world, "state"), counter(world, "failures")), (0, 0));
}

fn grpc_names(world: &mut dyn World) {
    world.upstream(Upstream::Answers(Response::grpc(13)));
    world.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!(gauge(world, "state"), 0);
    world.upstream(Upstream::Answers(Response::grpc(14)));
    world.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!(gauge(world, "state"), 2);
}

/// The upstream observes the deadline, and reports it.
fn grpc_deadline(world: &mut dyn World) {
    world.upstream(Upstream::Answers(Response::grpc(4)));
    let call = |timeout| Request::grpc("/shop.Cart/Add").header("grpc-timeout", timeout);
    for _ in 0..3 {
        world.send(call("1m"));
    }
    assert_eq!((gauge(world, "state"), counter(world, "abandoned")), (0, 3));
    world.send(call("1M"));
    assert_eq!(gauge(world, "state"), 2);
}

fn slow_with_body(world: &mut dyn World) {
    let late = Answer::from(ok()).after(Duration::from_millis(600));
    world.upstream(Upstream::always(late));
    world.send(Request {
        body: b"abc".into(),
        ..Request::post("/")
    });
    assert_eq!((gauge(world, "state"), counter(world, "slow")), (2, 1));
}

fn gone(world: &mut dyn World) {
    open_both(world);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (2, 1));
    let other = json!({"name": "edge", "breakers":
        [named("other", json!({"consecutive_failures": 1}))]});
    world.reconfigure(&[plugin(&other)]);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (0, 0));
    // The other breaker is still there, with its circuits.
    assert_eq!(reason(&get(world)), "circuit_open");
    // A breaker that returns starts with closed circuits.
    world.reconfigure(&[plugin(&two())]);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (0, 0));
}

fn open_both(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(get(world).status, 503);
    world.upstream(Upstream::Answers(ok()));
}

fn off(world: &mut dyn World) {
    open(world);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (2, 1));
    let mut off = sensitive();
    off["mode"] = json!("off");
    world.reconfigure(&[plugin(&off)]);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (0, 0));
}
