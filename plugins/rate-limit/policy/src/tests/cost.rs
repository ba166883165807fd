//! Costs of requests, before and after the response.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn world(limit: Value) -> World {
    let mut limit = limit;
    limit["rate"] = json!({"requests": 10, "per": "10h"});
    World::new(one_limit(limit))
}

/// The remaining part of 10 after a request with these lines of `x-cost`.
fn left_after(cost: Value, lines: &[&str]) -> u32 {
    let headers: Vec<_> = lines.iter().map(|line| ("x-cost", *line)).collect();
    remaining(&world(json!({"cost": cost})).send(&headers))
}

#[test]
fn a_cost_is_fixed_or_in_a_header() {
    assert_eq!(left_after(json!(3), &["7"]), 7);
    let header = json!({"header": "X-Cost", "default": 2, "max": 5});
    assert_eq!(left_after(header.clone(), &["3"]), 7);
    assert_eq!(left_after(header.clone(), &[" 4 "]), 6);
    assert_eq!(left_after(header.clone(), &[]), 8);
    assert_eq!(left_after(header.clone(), &["6"]), 5, "at most the maximum");
    assert_eq!(left_after(header.clone(), &["99999999999999999999"]), 5);
    assert_eq!(
        left_after(header.clone(), &["1", "4", "3"]),
        6,
        "the largest"
    );
    for no_number in ["", "-1", "+1", "1.5", "0x1", "many", "1 2"] {
        assert_eq!(left_after(header.clone(), &[no_number]), 8, "{no_number:?}");
        assert_eq!(
            left_after(header.clone(), &[no_number, "1"]),
            8,
            "{no_number:?}"
        );
    }
    assert_eq!(
        left_after(json!({"header": "x-cost"}), &[]),
        9,
        "one by default"
    );
}

#[test]
fn a_cost_of_0_passes_and_changes_nothing() {
    let mut world = world(json!({"cost": {"header": "x-cost"}}));
    assert!(world.admits(&[("x-cost", "10")]));
    world.store.writes = 0;
    let peek = world.send(&[("x-cost", "0")]);
    assert_eq!(decisions(&peek), [Decision::Admitted]);
    assert_eq!(remaining(&peek), 0);
    assert_eq!(world.store.writes, 0);
    assert!(!world.admits(&[]));
}

#[test]
fn what_can_never_fit_is_denied_for_that_reason() {
    for algorithm in ["gcra", "sliding_window", "fixed_window"] {
        let mut world = world(json!({"algorithm": algorithm, "cost": {"header": "x-cost"}}));
        let denied = world.send(&[("x-cost", "11")]);
        assert_eq!(decisions(&denied), [Decision::Denied(Reason::CostTooLarge)]);
        assert_eq!(remaining(&denied), 10);
        assert!(world.admits(&[("x-cost", "10")]));
        // The denial does not need the table.
        world.store.updates_left = 0;
        let denied = world.send(&[("x-cost", "11")]);
        assert_eq!(decisions(&denied), [Decision::Denied(Reason::CostTooLarge)]);
    }
}

fn charging(algorithm: &str, max: u32) -> World {
    world(json!({
        "algorithm": algorithm,
        "cost": {"header": "x-cost", "default": 4},
        "charge_response": {"header": "x-actual-cost", "max": max}
    }))
}

/// The remaining part of 10 after a request that reserved 4, and this response.
fn left_after_response(headers: &[(&str, &str)]) -> u32 {
    let mut world = charging("gcra", 8);
    let mut evaluation = world.send(&[]);
    assert_eq!(remaining(&evaluation), 6);
    world.respond(&mut evaluation, headers);
    let left = remaining(&world.send(&[("x-cost", "0")]));
    assert_eq!(remaining(&evaluation), left);
    left
}

#[test]
fn the_response_corrects_the_cost() {
    assert_eq!(left_after_response(&[("x-actual-cost", "1")]), 9);
    assert_eq!(left_after_response(&[("x-actual-cost", "0")]), 10);
    assert_eq!(left_after_response(&[("x-actual-cost", "4")]), 6);
    assert_eq!(left_after_response(&[("x-actual-cost", "7")]), 3);
    assert_eq!(left_after_response(&[("x-actual-cost", "1000")]), 2);
    assert_eq!(left_after_response(&[]), 6);
    assert_eq!(left_after_response(&[("x-actual-cost", "much")]), 6);
    let lines = [("x-actual-cost", "1"), ("x-actual-cost", "5")];
    assert_eq!(left_after_response(&lines), 5);
}

#[test]
fn a_debt_is_paid_before_anything_passes() {
    for (algorithm, minutes) in [
        ("gcra", 660),
        ("sliding_window", 930),
        ("fixed_window", 600),
    ] {
        let mut world = charging(algorithm, 20);
        // The start of a window of ten hours.
        world.now = Nanos::from_secs(START.floor_secs() / 36_000 * 36_000);
        let mut evaluation = world.send(&[]);
        world.respond(&mut evaluation, &[("x-actual-cost", "20")]);
        assert!(world.admits(&[("x-cost", "0")]), "a cost of 0 passes");
        let one = [("x-cost", "1")];
        world.advance(Nanos::from_secs(minutes * 60) - Nanos::new(1));
        assert!(!world.admits(&one), "{algorithm}");
        world.advance(Nanos::new(1));
        assert!(world.admits(&one), "{algorithm}");
    }
}

#[test]
fn a_response_is_charged_once_and_only_if_the_request_was_admitted() {
    let mut world = charging("gcra", 8);
    let actual = [("x-actual-cost", "1")];
    let mut first = world.send(&[]);
    world.respond(&mut first, &actual);
    world.respond(&mut first, &actual);
    assert_eq!(remaining(&first), 9);

    let mut denied = world.send(&[("x-cost", "10")]);
    assert!(denied.is_denied());
    world.respond(&mut denied, &actual);
    assert_eq!(remaining(&world.send(&[("x-cost", "0")])), 9);
}

#[test]
fn when_a_refund_fails_the_reservation_stands() {
    let mut world = charging("gcra", 8);
    let mut evaluation = world.send(&[]);
    world.store.updates_left = 0;
    world.respond(&mut evaluation, &[("x-actual-cost", "1")]);
    world.store.updates_left = 1;
    assert_eq!(remaining(&world.send(&[("x-cost", "0")])), 6);
}

/// The key was evicted between the request and its response.
#[test]
fn a_key_that_was_evicted_is_charged_again() {
    let mut world = charging("gcra", 8);
    let mut evaluation = world.send(&[]);
    let cleared = portcullis_table::Store::update(&mut world.store, 0, 0, |bytes| {
        bytes.clear();
        portcullis_table::Edit {
            changed: true,
            outcome: (),
        }
    });
    assert_eq!(cleared, Ok(()));
    world.respond(&mut evaluation, &[("x-actual-cost", "7")]);
    assert_eq!(remaining(&world.send(&[("x-cost", "0")])), 7);
}
