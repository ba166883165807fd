//! Requests that some servers read as those of a breaker.

use serde_json::{Value, json};

use super::{breaker, counter_by_reason, failure, gauge, ok, reason, scenario};
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::what_may_be_for_a_breaker_opens_nothing",
            &payments(),
            opens_nothing,
        ),
        scenario(
            "circuit_breaker::what_may_be_for_a_breaker_closes_nothing",
            &payments(),
            closes_nothing,
        ),
        scenario(
            "circuit_breaker::what_may_be_for_a_breaker_is_under_way_like_others",
            &breaker(json!({"match": {"path": {"prefix": "/payments/"}}, "max_concurrent": 1})),
            gives_back,
        ),
    ]
}

fn payments() -> Value {
    breaker(json!({
        "match": {"path": {"prefix": "/payments/"}},
        "consecutive_failures": 1,
        "half_open": {"permits": 1},
    }))
}

/// Other spellings of `/payments/1`, or of another path.
const POSSIBLE: [&str; 5] = [
    "/x/..;/payments/1",
    "/payments/..%2f..%2fx",
    "/payments;v=1/1",
    "/PAYMENTS/1",
    "/payments",
];

fn get(world: &mut dyn World, path: &str) -> Response {
    world.send(Request::get(path))
}

fn opens_nothing(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    for (i, path) in POSSIBLE.into_iter().enumerate() {
        assert_eq!(get(world, path).status, 503, "{path}");
        assert_eq!(gauge(world, "state"), 0, "{path}");
        let neutral = counter_by_reason(world, "neutral_by", "ambiguous");
        assert_eq!(neutral, i as u64 + 1, "{path}");
    }
    get(world, "/payments/1");
    assert_eq!(gauge(world, "state"), 2);
}

fn closes_nothing(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    get(world, "/payments/1");
    world.upstream(Upstream::Answers(ok()));
    for path in POSSIBLE {
        assert_eq!(reason(&get(world, path)), "circuit_open", "{path}");
    }
    world.pass(super::OPEN);
    for path in POSSIBLE {
        assert_eq!(reason(&get(world, path)), "circuit_open", "{path}");
    }
    assert_eq!(gauge(world, "state"), 2);
    assert_eq!(get(world, "/payments/1").status, 200);
    assert_eq!(gauge(world, "state"), 0);
    for path in POSSIBLE {
        assert_eq!(get(world, path).status, 200, "{path}");
    }
}

fn gives_back(world: &mut dyn World) {
    world.upstream(Upstream::Answers(ok()));
    for path in POSSIBLE {
        assert_eq!(get(world, path).status, 200, "{path}");
    }
    assert_eq!(get(world, "/payments/1").status, 200);
}
