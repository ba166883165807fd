//! Requests that a breaker matches only in some readings.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A breaker that matches only `/payments/`.
fn payments(mut breaker: Value) -> Value {
    breaker["match"] = json!({"path": {"prefix": "/payments/"}, "methods": ["GET"]});
    one_breaker(breaker)
}

fn sensitive() -> Value {
    payments(json!({"consecutive_failures": 1, "half_open": {"permits": 1}}))
}

const CERTAIN: [(&str, &str); 2] = [(":path", "/payments/1"), (":method", "GET")];

/// Requests that some servers read as payments.
const POSSIBLE: [[(&str, &str); 2]; 5] = [
    [(":path", "/x/..;/payments/1"), (":method", "GET")],
    [(":path", "/payments/..%2f..%2fx"), (":method", "GET")],
    [(":path", "/PAYMENTS/1"), (":method", "GET")],
    [(":path", "/payments"), (":method", "GET")],
    [(":path", "/payments/1"), (":method", "get")],
];

#[test]
fn they_open_nothing() {
    for ending in [failure(), abandoned(), status("500")] {
        let mut world = World::new(sensitive());
        for request in &POSSIBLE {
            assert!(world.call_with(request, ending.clone()), "{request:?}");
        }
        assert_eq!(world.transitions(), [], "{ending:?}");
        assert!(world.call_with(&CERTAIN, failure()));
        assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    }
}

#[test]
fn they_close_nothing_and_make_no_failure_look_rarer() {
    let mut world = World::new(payments(
        json!({"failure_rate": 100, "minimum_requests": 2, "half_open": {"permits": 1}}),
    ));
    world.call_with(&CERTAIN, failure());
    for request in &POSSIBLE {
        assert!(world.call_with(request, success()));
    }
    world.call_with(&CERTAIN, failure());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
    world.advance(Nanos::from_secs(5));
    for request in &POSSIBLE {
        assert!(!world.call_with(request, success()), "{request:?}");
    }
    assert_eq!(world.transitions(), []);
    assert!(world.call_with(&CERTAIN, success()));
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
}

#[test]
fn they_are_neutral_and_never_slow() {
    let mut world = World::new(payments(
        json!({"slow": {"threshold": "1s", "rate": 1}, "minimum_requests": 1}),
    ));
    for ending in [success(), failure(), abandoned(), neutral()] {
        let admission = world.send(&POSSIBLE[0]);
        world.advance(Nanos::from_secs(2));
        let recorded = world.end(admission, ending).remove(0);
        assert_eq!(recorded.verdict, Verdict::Neutral);
        assert_eq!(recorded.author.label(), "ambiguous");
        assert_eq!((recorded.is_slow, recorded.attempts), (false, None));
    }
    assert_eq!(world.transitions(), []);
}

#[test]
fn they_are_rejected_while_the_circuit_is_open_or_half_open() {
    let mut world = World::new(sensitive());
    let rejection = |world: &mut World| {
        let admission = world.send(&POSSIBLE[0]);
        admission.rejection().map(|it| (it.reason, it.wait))
    };
    world.call_with(&CERTAIN, failure());
    let open = |wait| Some((Reason::CircuitOpen, wait));
    assert_eq!(rejection(&mut world), open(Nanos::from_secs(5)));
    world.advance(Nanos::from_secs(5));
    assert_eq!(rejection(&mut world), open(Nanos::ZERO));
    let probe = world.send(&CERTAIN);
    assert!(!probe.is_rejected());
    assert_eq!(
        rejection(&mut world),
        Some((Reason::HalfOpen, Nanos::SECOND))
    );
    world.end(probe, neutral());
    assert_eq!(
        rejection(&mut world),
        Some((Reason::HalfOpen, Nanos::SECOND))
    );
    assert!(world.call_with(&CERTAIN, success()));
    assert_eq!(rejection(&mut world), None);
}

#[test]
fn they_count_among_those_under_way_until_they_end() {
    let mut world = World::new(payments(json!({"max_concurrent": 1})));
    let first = world.send(&POSSIBLE[0]);
    assert_eq!(
        world.send(&POSSIBLE[0]).rejection().map(|it| it.reason),
        Some(Reason::Bulkhead)
    );
    world.end(first, failure());
    assert!(world.call_with(&CERTAIN, success()));
}

#[test]
fn their_responses_are_not_replaced() {
    let mut world = World::new(payments(
        json!({"consecutive_failures": 1, "fallback": {"on_failure": true}}),
    ));
    let mut admission = world.send(&POSSIBLE[0]);
    let failed = header_map(&[(":status", "503")]);
    world.policy.on_response(&mut admission, &failed, world.now);
    assert!(!world.policy.may_fall_back(&admission));
    assert!(
        world
            .policy
            .fallback(&mut admission, &mut failure())
            .is_none()
    );
}

#[test]
fn forced_open_rejects_them() {
    let mut world = World::new(payments(json!({"state": "forced_open"})));
    assert!(world.send(&POSSIBLE[0]).is_rejected());
}

#[test]
fn a_breaker_without_a_condition_counts_them() {
    let mut world = World::new(one_breaker(json!({"consecutive_failures": 1})));
    world.call_with(&POSSIBLE[0], failure());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
}

#[test]
fn an_ambiguous_part_of_the_key_has_a_circuit_of_its_own() {
    let mut world = World::new(one_breaker(
        json!({"consecutive_failures": 1, "key": [{"header": "x-tenant"}], "missing": "skip"}),
    ));
    let ambiguous = [("x-tenant", "a"), ("x_tenant", "b")];
    world.call_with(&ambiguous, failure());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    assert!(world.send(&ambiguous).is_rejected());
    for tenant in ["a", "b"] {
        assert!(!world.send(&[("x-tenant", tenant)]).is_rejected());
    }
}

proptest! {
    /// Ambiguous requests, with any results, change neither the results of others nor the times of the phases.
    #[test]
    fn the_circuit_goes_the_same_way_without_them(
        steps in prop::collection::vec((0..POSSIBLE.len(), any::<bool>(), any::<bool>(), 0..4_u64), 1..80),
    ) {
        let config = payments(json!({"consecutive_failures": 2, "failure_rate": 60,
            "minimum_requests": 4, "half_open": {"permits": 2}}));
        let (mut with, mut without) = (World::new(config.clone()), World::new(config));
        for (which, theirs, fails, seconds) in steps {
            let ending = |fails| if fails { failure() } else { success() };
            with.call_with(&POSSIBLE[which], ending(theirs));
            let passes = [&mut with, &mut without].map(|world| {
                let passes = world.call_with(&CERTAIN, ending(fails));
                world.advance(Nanos::from_secs(seconds));
                (passes, world.transitions())
            });
            prop_assert_eq!(&passes[0], &passes[1]);
        }
    }
}
