//! Several breakers on one request.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// One for all requests, and one for posts that opens for longer.
fn two() -> Value {
    json!({"breakers": [
        named("all", json!({"consecutive_failures": 2, "half_open": {"permits": 1},
            "max_concurrent": 4})),
        named("posts", json!({"match": {"methods": ["POST"]}, "consecutive_failures": 1,
            "open": {"base": "1m"}}))
    ]})
}

const POST: [(&str, &str); 1] = [(":method", "POST")];
const GET: [(&str, &str); 1] = [(":method", "GET")];

#[test]
fn each_gets_the_result() {
    let mut world = World::new(two());
    world.call_with(&POST, failure());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    assert!(!world.call_with(&POST, failure()));
    world.call_with(&GET, failure());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    assert!(!world.call_with(&GET, success()));
}

/// A request that the second breaker rejects must not cost the first breaker its only permit.
#[test]
fn those_before_the_one_that_rejects_get_back_what_they_gave() {
    let mut world = World::new(two());
    world.call_with(&POST, failure());
    world.call_with(&GET, failure());
    world.advance(Nanos::from_secs(5));
    for _ in 0..10 {
        let rejected = world.send(&POST);
        let expected = [Decision::Released, Decision::Denied(Reason::CircuitOpen)];
        assert_eq!(decisions(&rejected), expected);
        assert!(!rejected.needs_response());
    }
    assert!(world.call_with(&GET, success()));
    let under_way: Vec<_> = (0..4).map(|_| world.send(&GET)).collect();
    assert!(under_way.iter().all(|request| !request.is_rejected()));
    assert!(world.send(&GET).is_rejected());
}

#[test]
fn breakers_that_do_not_match_are_not_asked() {
    let mut world = World::new(two());
    assert_eq!(decisions(&world.send(&GET)), [Decision::Admitted]);
    let skips = one_breaker(json!({
        "consecutive_failures": 1, "key": [{"header": "x-tenant"}], "missing": "skip"
    }));
    assert_eq!(decisions(&World::new(skips).send(&GET)), []);
    let denies = one_breaker(json!({
        "consecutive_failures": 1, "key": [{"header": "x-tenant"}], "missing": "deny"
    }));
    assert_eq!(
        decisions(&World::new(denies).send(&GET)),
        [Decision::Denied(Reason::MissingKey)]
    );
}

#[test]
fn a_table_that_fails_lets_pass_or_rejects_as_configured() {
    for (on_error, expected) in [
        ("allow", Decision::Uncounted),
        ("deny", Decision::Denied(Reason::Unavailable)),
    ] {
        let mut config = one_breaker(json!({"consecutive_failures": 1}));
        config["on_error"] = json!(on_error);
        let mut world = World::new(config);
        world.store.updates_left = 0;
        let admission = world.send(&[]);
        assert_eq!(decisions(&admission), [expected]);
        assert!(admission.checks()[0].is_error());
        assert_eq!(admission.is_rejected(), on_error == "deny");
    }
}

/// A result that cannot be stored is lost; the permits of the request expire.
#[test]
fn a_result_that_cannot_be_stored_is_reported() {
    let mut world = World::new(one_breaker(json!({"consecutive_failures": 1})));
    let admission = world.send(&[]);
    world.store.updates_left = 0;
    let records = world.end(admission, failure());
    assert!(records[0].is_error);
    assert_eq!(records[0].verdict, Verdict::Failure);
}

/// In the common case a request reads its circuit once, and writes it once.
#[test]
fn a_closed_circuit_is_written_once() {
    let mut world = World::new(one_breaker(json!({"failure_rate": 50, "key": ["cluster"]})));
    world.store.updates_left = 20;
    world.calls(10, &success());
    assert_eq!((world.store.updates_left, world.store.writes), (0, 10));

    let mut world = World::new(one_breaker(json!({"consecutive_failures": 5})));
    world.calls(10, &success());
    assert_eq!(world.store.writes, 0, "a success changes nothing");
}
