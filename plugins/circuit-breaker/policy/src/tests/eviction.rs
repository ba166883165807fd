//! A full table.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_table::SLOTS;

/// A breaker by tenant, whose table has one block.
fn world(breaker: Value) -> World {
    let mut breaker = breaker;
    breaker["key"] = json!([{"header": "x-tenant"}]);
    let mut config = one_breaker(breaker);
    config["max_keys"] = json!(SLOTS);
    World::new(config)
}

fn call(world: &mut World, tenant: &str, ending: Ending) -> bool {
    world.call_with(&[("x-tenant", tenant)], ending)
}

#[test]
fn open_circuits_are_the_last_to_go() {
    let mut world = world(json!({"consecutive_failures": 2, "failure_rate": 100}));
    for _ in 0..2 {
        call(&mut world, "open", failure());
    }
    for tenant in 0..200 {
        assert!(call(&mut world, &tenant.to_string(), success()));
    }
    assert!(!call(&mut world, "open", success()));
    assert_eq!(
        world.gauges,
        snapshot::GaugeDelta {
            state: 2,
            open_keys: 1
        }
    );
}

#[test]
fn an_idle_key_makes_room_before_a_busy_one() {
    let mut world = world(json!({"failure_rate": 50, "minimum_requests": 3}));
    call(&mut world, "busy", failure());
    call(&mut world, "busy", failure());
    for tenant in 0..100 {
        call(&mut world, &tenant.to_string(), success());
    }
    assert!(call(&mut world, "busy", failure()));
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
}

/// The gauges count open keys, and forget evicted ones.
#[test]
fn an_open_circuit_that_is_evicted_is_no_longer_counted() {
    let mut world = world(json!({"consecutive_failures": 1}));
    for tenant in 0..SLOTS {
        call(&mut world, &tenant.to_string(), failure());
    }
    assert_eq!(world.gauges.open_keys, SLOTS as i64);
    let admission = world.send(&[("x-tenant", "one more")]);
    let records = world.end(admission, failure());
    assert!(records[0].effects.table.evicted);
    assert_eq!(
        world.gauges,
        snapshot::GaugeDelta {
            state: 2,
            open_keys: SLOTS as i64
        }
    );
    let passing = (0..SLOTS).filter(|tenant| {
        let tenant = tenant.to_string();
        !world.send(&[("x-tenant", &tenant)]).is_rejected()
    });
    assert_eq!(passing.count(), 1);
}

/// The permit belongs to the time before the eviction.
#[test]
fn a_request_that_outlives_its_evicted_key_returns_nothing_to_the_new_one() {
    let mut world = world(json!({"max_concurrent": 1, "consecutive_failures": 1}));
    let first = [("x-tenant", "first")];
    let under_way = world.send(&first);
    for tenant in 0..SLOTS {
        call(&mut world, &tenant.to_string(), failure());
    }
    world.advance(Nanos::new(1));
    let second = world.send(&first);
    assert!(!second.is_rejected(), "the first was forgotten");
    world.end(under_way, success());
    assert!(
        world.send(&first).is_rejected(),
        "the second is still there"
    );
}
