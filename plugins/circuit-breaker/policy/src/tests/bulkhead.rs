//! The limit of requests under way.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn world() -> World {
    World::new(one_breaker(
        json!({"max_concurrent": 3, "concurrent_lease": "1m"}),
    ))
}

/// Sends requests that stay under way, and returns how many passed.
fn room(world: &mut World) -> Vec<Admission> {
    let mut passed = Vec::new();
    loop {
        let admission = world.send(&[]);
        match admission.rejection() {
            None => passed.push(admission),
            Some(rejection) => {
                assert_eq!(rejection.reason, Reason::Bulkhead);
                return passed;
            }
        }
    }
}

#[test]
fn no_more_than_the_limit_pass() {
    let mut world = world();
    let mut under_way = room(&mut world);
    assert_eq!(under_way.len(), 3);
    for ending in [success(), failure(), abandoned(), neutral()] {
        world.end(under_way.remove(0), ending);
        under_way.extend(room(&mut world));
        assert_eq!(under_way.len(), 3);
    }
}

#[test]
fn a_request_that_ends_twice_is_counted_once() {
    let mut world = world();
    let under_way = room(&mut world);
    let mut first = under_way.into_iter().next().unwrap();
    for _ in 0..2 {
        world
            .policy
            .on_log(&mut first, &mut success(), world.now, &mut world.store);
    }
    assert_eq!(room(&mut world).len(), 1);
}

#[test]
fn a_lost_request_expires_with_its_lease() {
    let mut world = world();
    let lost = room(&mut world);
    world.advance(Nanos::from_secs(60) - Nanos::new(1));
    assert_eq!(room(&mut world).len(), 0);
    world.advance(Nanos::from_secs(15));
    assert_eq!(room(&mut world).len(), 3);
    assert_eq!(world.expired(), 3);
    // They end after all: no permit returns twice.
    for request in lost {
        world.end(request, success());
    }
    assert_eq!(room(&mut world).len(), 0);
}

/// The bulkhead counts requests under way in every phase.
#[test]
fn transitions_do_not_touch_it() {
    let mut world = World::new(one_breaker(json!({
        "max_concurrent": 3, "consecutive_failures": 1, "half_open": {"permits": 1},
        "open": {"base": "1s"}
    })));
    let old: Vec<_> = (0..2).map(|_| world.send(&[])).collect();
    world.call(failure());
    world.advance(Nanos::SECOND);
    world.call(success());
    let expected = [opened(Cause::Consecutive), HALF_OPEN, CLOSED];
    assert_eq!(world.transitions(), expected);
    assert_eq!(room(&mut world).len(), 1);
    for request in old {
        world.end(request, success());
    }
    assert_eq!(room(&mut world).len(), 2);
}

/// A full bulkhead must not use up the time of a circuit that could be probed.
#[test]
fn an_open_circuit_is_not_probed_by_what_the_bulkhead_rejects() {
    let mut world = World::new(one_breaker(json!({
        "max_concurrent": 1, "consecutive_failures": 1, "open": {"base": "1s"}
    })));
    world.call(failure());
    assert_eq!(
        world.rejection(),
        Some((Reason::CircuitOpen, Nanos::SECOND))
    );
    world.advance(Nanos::SECOND);
    let probe = world.send(&[]);
    assert!(!probe.is_rejected());
    assert_eq!(world.rejection(), Some((Reason::Bulkhead, Nanos::SECOND)));
    world.end(probe, neutral());
    assert_eq!(world.rejection(), None);
}

#[test]
fn metrics_only_counts_but_does_not_reject() {
    let mut world = World::new(one_breaker(json!({
        "max_concurrent": 1, "state": "metrics_only"
    })));
    for _ in 0..5 {
        assert!(!world.send(&[]).is_rejected());
    }
}
