//! Breakers in shadow mode.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn marks(world: &World, admission: &Admission) -> Vec<Bytes> {
    world.policy.shadow_marks(admission).collect()
}

#[test]
fn a_breaker_in_shadow_goes_through_its_states_and_never_rejects() {
    let breaker = json!({"consecutive_failures": 1, "half_open": {"permits": 2}});
    let mut earnest = World::new(one_breaker(breaker.clone()));
    let mut shadow_breaker = breaker;
    shadow_breaker["mode"] = json!("shadow");
    let mut shadow = World::new(one_breaker(shadow_breaker));
    for (wait, ending) in [
        (0, success()),
        (0, failure()),
        (1, success()),
        (1, failure()),
        (4, success()),
        (0, failure()),
        (1, success()),
        (9, success()),
        (0, success()),
        (0, success()),
    ] {
        earnest.advance(Nanos::from_secs(wait));
        shadow.advance(Nanos::from_secs(wait));
        let passes = earnest.call(ending.clone());
        let admission = shadow.send(&[]);
        assert!(!admission.is_rejected());
        assert_eq!(marks(&shadow, &admission).is_empty(), passes);
        shadow.end(admission, ending);
        assert_eq!(earnest.transitions(), shadow.transitions());
    }
    assert_eq!(earnest.store.contents().len(), 1);
}

#[test]
fn a_request_that_would_be_rejected_is_marked() {
    let mut world = World::new(one_breaker(
        json!({"state": "forced_open", "mode": "shadow"}),
    ));
    let admission = world.send(&[]);
    assert_eq!(marks(&world, &admission), ["circuit_breaker;a"]);
    assert_eq!(
        decisions(&admission),
        [Decision::ShadowDenied(Reason::ForcedOpen)]
    );
    assert!(world.policy.reply(&admission, &header_map(&[])).is_none());
    assert_eq!(world.gauges.state, 0, "nothing is forced");
}

#[test]
fn it_sees_what_the_enforcing_breakers_admit() {
    let mut world = World::new(json!({"breakers": [
        named("shadow", json!({"consecutive_failures": 2, "mode": "shadow"})),
        named("enforced", json!({"consecutive_failures": 1}))
    ]}));
    world.call(failure());
    assert!(world.send(&[]).is_rejected());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    world.advance(Nanos::from_secs(5));
    world.call(failure());
    assert_eq!(
        world.transitions(),
        [HALF_OPEN, opened(Cause::Probe), opened(Cause::Consecutive)]
    );
}

#[test]
fn a_plugin_in_shadow_mode_decides_as_in_earnest() {
    let mut config = one_breaker(json!({"consecutive_failures": 1,
        "fallback": {"on_failure": true}}));
    config["mode"] = json!("shadow");
    let mut world = World::new(config);
    let mut admission = world.send(&[]);
    let headers = failure().headers.unwrap();
    world
        .policy
        .on_response(&mut admission, &headers, world.now);
    assert!(!world.policy.may_fall_back(&admission));
    world.end(admission, failure());
    for _ in 0..5 {
        let admission = world.send(&[]);
        assert_eq!(
            decisions(&admission),
            [Decision::ShadowDenied(Reason::CircuitOpen)]
        );
        assert_eq!(marks(&world, &admission), ["circuit_breaker;a"]);
        assert!(!admission.is_rejected() && !admission.needs_response());
    }
}
