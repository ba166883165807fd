//! Responses in place of the upstream's.

use serde_json::{Value, json};

use super::{
    breaker, counter, failure, gauge, get, ok, open, reached, reason, retry_after, scenario,
    sensitive,
};
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::a_fallback_can_be_configured",
            &with_fallback(json!({
                "status": 200, "body": "[]", "headers": {"content-type": "application/json"}
            })),
            fallback,
        ),
        scenario(
            "circuit_breaker::a_fallback_can_replace_failures",
            &with_fallback(json!({
                "status": 200, "body": "[]", "headers": {"content-type": "application/json"},
                "on_failure": true
            })),
            on_failure,
        ),
        scenario(
            "circuit_breaker::grpc_calls_are_rejected_as_grpc",
            &sensitive(),
            grpc,
        ),
    ]
}

fn with_fallback(fallback: Value) -> Value {
    breaker(json!({"consecutive_failures": 2, "fallback": fallback}))
}

fn assert_is_fallback(response: &Response) {
    assert_eq!((response.status, &*response.body), (200, &b"[]"[..]));
    let content_type = response.get_header("content-type");
    assert_eq!(content_type.as_deref(), Some("application/json"));
}

fn fallback(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    for _ in 0..2 {
        assert_eq!(reason(&get(world)), "", "the upstream's own");
    }
    let rejected = get(world);
    assert_is_fallback(&rejected);
    assert_eq!(reason(&rejected), "circuit_open");
    assert!(rejected.get_header("retry-after").is_some());
}

fn on_failure(world: &mut dyn World) {
    let secret = failure().header("x-upstream-secret", "stack trace");
    world.upstream(Upstream::Answers(secret.header("retry-after", "7")));
    let replaced = get(world);
    assert_is_fallback(&replaced);
    assert_eq!(reason(&replaced), "upstream_failure");
    assert_eq!(retry_after(&replaced), "7");
    assert_eq!(replaced.get_header("x-upstream-secret"), None);
    assert_eq!(
        (counter(world, "fallbacks"), counter(world, "failures")),
        (1, 1)
    );

    world.upstream(Upstream::Answers(Response::new(404)));
    assert_eq!(get(world).status, 404, "no failure, and not replaced");

    world.upstream(Upstream::Unreachable);
    assert_eq!(reason(&get(world)), "upstream_failure");
    assert_is_fallback(&get(world));
    assert_eq!(gauge(world, "state"), 2, "they counted all the same");
    assert_eq!(reason(&get(world)), "circuit_open");

    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reached(world, 2), 0);
}

fn grpc(world: &mut dyn World) {
    open(world);
    let rejected = world.send(Request::grpc("/shop.Cart/Add"));
    assert_eq!((rejected.status, rejected.body.len()), (200, 0));
    let header = |name| rejected.get_header(name).or(rejected.get_trailer(name));
    assert_eq!(header("grpc-status").as_deref(), Some("14"));
    let pushback: u64 = header("grpc-retry-pushback-ms")
        .expect("it is there")
        .parse()
        .expect("a number");
    assert!((1..=2_000).contains(&pushback), "{pushback}");
    assert_eq!(reason(&rejected), "circuit_open");

    let plain = get(world);
    assert_eq!(plain.get_header("grpc-retry-pushback-ms"), None);
}
