//! Limits on a table that is too small.

use std::collections::HashMap;

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// One limit on a table of one block, and a limit `then` that denies marked requests.
fn config(algorithm: &str, when_full: &str, requests: u32) -> Value {
    json!({
        "max_keys": 16, "when_full": when_full,
        "limits": [
            {"name": "a", "key": [{"header": "x-key"}], "algorithm": algorithm,
                "rate": {"requests": requests, "per": "10s"}, "cost": {"header": "x-cost"}},
            {"name": "then", "match": {"headers": [{"name": "x-denied", "present": true}]},
                "rate": {"requests": 0, "per": "1s"}}
        ]
    })
}

#[derive(Clone, Debug)]
struct Step {
    key: u8,
    cost: u32,
    wait: Nanos,
    /// Another limit denies the request.
    is_denied: bool,
}

/// Requests with many more keys than fit, a few of which occur often.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![1 => 0..4_u8, 2 => 0..60_u8];
    let wait = prop_oneof![4 => Just(0), 2 => 0..200_u64, 1 => 0..9_000_u64];
    let wait = wait.prop_map(Nanos::from_millis);
    let step = (key, 1..4_u32, wait, prop::bool::weighted(0.2));
    let step = step.prop_map(|(key, cost, wait, is_denied)| Step {
        key,
        cost,
        wait,
        is_denied,
    });
    prop::collection::vec(step, 0..250)
}

fn send(world: &mut World, step: &Step) -> Evaluation {
    let (key, cost) = (step.key.to_string(), step.cost.to_string());
    let mut headers = vec![("x-key", &*key), ("x-cost", &*cost)];
    if step.is_denied {
        headers.push(("x-denied", ""));
    }
    world.send(&headers)
}

proptest! {
    /// A limiter that forgets nothing would admit everything that a table in strict mode admits.
    #[test]
    fn strict_never_admits_too_much(
        steps in steps(),
        algorithm in prop::sample::select(vec!["gcra", "sliding_window", "fixed_window"]),
    ) {
        let mut world = World::new(config(algorithm, "strict", 5));
        // Each key has a table of its own.
        let mut unbounded = HashMap::<u8, World>::new();
        for step in &steps {
            world.advance(step.wait);
            if !send(&mut world, step).is_denied() {
                let exact = unbounded
                    .entry(step.key)
                    .or_insert_with(|| World::new(config(algorithm, "strict", 5)));
                exact.now = world.now;
                prop_assert!(!send(exact, step).is_denied(), "too much for {step:?}");
            }
        }
    }

    /// The excess of a forgiving table is at most the usage that it reports as forgiven.
    #[test]
    fn forgive_reports_what_it_forgives(steps in steps()) {
        let mut world = World::new(config("gcra", "forgive", 5));
        let mut unbounded = HashMap::<u8, World>::new();
        let (mut too_much, mut forgiven) = (0, 0);
        for step in &steps {
            world.advance(step.wait);
            let evaluation = send(&mut world, step);
            forgiven += evaluation.checks()[0].events().forgiven;
            if evaluation.is_denied() {
                continue;
            }
            let exact = unbounded
                .entry(step.key)
                .or_insert_with(|| World::new(config("gcra", "forgive", 5)));
            exact.now = world.now;
            if send(exact, step).is_denied() {
                too_much += step.cost;
            }
        }
        prop_assert!(too_much <= forgiven, "{too_much} of {forgiven}");
    }
}

/// A flood of new keys through tables much smaller than it.
fn flood(when_full: &str) -> (World, u32) {
    let mut world = World::new(json!({
        "max_keys": 1000, "when_full": when_full,
        "limits": [{"name": "a", "key": [{"header": "x-key"}], "rate": {"requests": 5, "per": "1h"}}]
    }));
    assert_eq!(world.admitted(10, &[("x-key", "greedy")]), 5);
    let first = (0..20_000).filter(|i| world.admits(&[("x-key", &i.to_string())]));
    let admitted = first.count();
    (world, admitted as u32)
}

#[test]
fn a_flood_neither_frees_a_key_nor_stops_new_ones() {
    let (mut world, admitted) = flood("forgive");
    assert_eq!(admitted, 20_000, "a new key's first request passes");
    assert!(!world.admits(&[("x-key", "greedy")]));
    // 128 blocks, as the README says.
    assert!(world.store.size() <= 128 * 265, "{}", world.store.size());
}

#[test]
fn in_strict_mode_new_keys_pay_for_a_flood() {
    let (mut world, admitted) = flood("strict");
    assert!(!world.admits(&[("x-key", "greedy")]));
    // Each slot can change hands five times before its state reaches the limit.
    let slots = 128 * 16;
    assert!((slots..=5 * slots).contains(&admitted), "{admitted}");
    world.advance(Nanos::from_secs(3_600));
    assert_eq!(world.admitted(10, &[("x-key", "20001")]), 5);
}

#[test]
fn evictions_are_reported() {
    let mut world = World::new(config("gcra", "forgive", 5));
    let mut last = |key: u32, cost: &str| {
        let evaluation = world.send(&[("x-key", &key.to_string()), ("x-cost", cost)]);
        evaluation.checks()[0].events()
    };
    for key in 0..16 {
        assert!(last(key, if key == 9 { "2" } else { "4" }).table.occupied);
    }
    let events = last(16, "1");
    assert!(!events.table.occupied && events.table.evicted);
    assert_eq!(events.forgiven, 2);
    // A key that is already there evicts nothing.
    assert_eq!(last(0, "1"), LimitEvents::default());
}
