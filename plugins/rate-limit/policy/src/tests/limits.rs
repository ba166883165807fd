//! Several limits on one request.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Three requests an hour, two of which may be POSTs.
fn two_limits() -> World {
    World::new(json!({"limits": [
        {"name": "all", "rate": {"requests": 3, "per": "1h"}},
        {"name": "posts", "match": {"methods": ["POST"]}, "rate": {"requests": 2, "per": "1h"}}
    ]}))
}

const GET: &[(&str, &str)] = &[(":method", "GET")];
const POST: &[(&str, &str)] = &[(":method", "POST")];

#[test]
fn every_limit_that_matches_must_admit() {
    let mut world = two_limits();
    assert_eq!(world.admitted(5, POST), 2);
    assert_eq!(world.admitted(5, GET), 1);
    assert_eq!(
        outcomes(&world.send(GET)),
        [Outcome::Denied(Reason::RateLimited)]
    );
}

#[test]
fn what_is_denied_consumes_nothing() {
    let mut world = two_limits();
    assert_eq!(world.admitted(100, POST), 2);
    let before = world.store.contents();
    assert_eq!(
        outcomes(&world.send(POST)),
        [Outcome::Released, Outcome::Denied(Reason::RateLimited)]
    );
    assert_eq!(world.store.contents(), before);
    // The denied requests left the capacity for others.
    assert_eq!(world.admitted(5, GET), 1);
}

#[test]
fn limits_after_one_that_denies_are_only_inspected() {
    let mut world = two_limits();
    world.admitted(3, GET);
    world.store.writes = 0;
    assert_eq!(
        outcomes(&world.send(POST)),
        [Outcome::Denied(Reason::RateLimited), Outcome::Released]
    );
    assert_eq!(world.store.writes, 0);
}

#[test]
fn a_request_without_limit_passes() {
    let mut world = World::new(one_limit(json!({"match": {"methods": ["PUT"]}})));
    assert_eq!(world.admitted(5, GET), 5);
    assert!(world.send(GET).checks().is_empty());
}

#[test]
fn a_rate_of_zero_denies_everything() {
    for algorithm in ["gcra", "sliding_window", "fixed_window"] {
        let rate = json!({"requests": 0, "per": "1m"});
        let mut world = World::new(one_limit(json!({"algorithm": algorithm, "rate": rate})));
        assert_eq!(world.admitted(5, GET), 0);
        world.advance(Nanos::from_secs(60_000));
        assert_eq!(world.admitted(5, GET), 0);
    }
}

#[test]
fn a_limit_that_is_off_is_not_there() {
    let mut world = World::new(json!({"limits": [
        {"name": "a", "mode": "off", "rate": {"requests": 0, "per": "1h"}},
        {"name": "b", "rate": {"requests": 1, "per": "1h"}}
    ]}));
    assert_eq!(world.admitted(5, GET), 1);
    let mut off = World::new(json!({"mode": "off", "limits": [
        {"name": "a", "rate": {"requests": 0, "per": "1h"}}
    ]}));
    assert_eq!(off.admitted(5, GET), 5);
    assert!(!off.policy.needs_request());
}

#[test]
fn near_limit_starts_at_four_fifths() {
    let mut world = World::new(one_limit(json!({"rate": {"requests": 10, "per": "1h"}})));
    let near: Vec<bool> = (0..11)
        .map(|_| world.send(GET).checks()[0].is_near_limit())
        .collect();
    let expected: Vec<bool> = (1..=11).map(|used| (8..=10).contains(&used)).collect();
    assert_eq!(near, expected);
}

#[test]
fn when_the_store_gives_up_on_error_decides() {
    let broken = |on_error: &str| {
        let mut world = World::new(json!({"on_error": on_error, "limits": [
            {"name": "a", "rate": {"requests": 1, "per": "1h"}}
        ]}));
        world.store.updates_left = 0;
        world.send(GET)
    };
    let allowed = broken("allow");
    assert!(!allowed.is_denied());
    assert_eq!(outcomes(&allowed), [Outcome::Uncounted]);
    assert!(allowed.checks()[0].is_error());
    let denied = broken("deny");
    assert!(denied.is_denied());
    assert_eq!(outcomes(&denied), [Outcome::Denied(Reason::Unavailable)]);
    assert!(denied.checks()[0].is_error());
}

/// A failed roll-back costs the client capacity, but never admits too much.
#[test]
fn when_a_roll_back_fails_the_reservation_stands() {
    let mut world = two_limits();
    assert_eq!(world.admitted(2, POST), 2);
    world.store.updates_left = 2;
    assert_eq!(
        outcomes(&world.send(POST)),
        [Outcome::Released, Outcome::Denied(Reason::RateLimited)]
    );
    world.store.updates_left = u32::MAX;
    assert_eq!(world.admitted(5, GET), 0);
}

#[test]
fn a_block_that_cannot_be_read_is_reset() {
    const FREE: &[(&str, &str)] = &[("x-cost", "0")];
    let mut world = World::new(one_limit(json!({"cost": {"header": "x-cost"}})));
    let garble = |world: &mut World| {
        let garbled = portcullis_table::Store::update(&mut world.store, 0, 0, |bytes| {
            *bytes = vec![99; 7];
            portcullis_table::Edit {
                changed: true,
                outcome: (),
            }
        });
        assert_eq!(garbled, Ok(()));
    };
    garble(&mut world);
    let evaluation = world.send(GET);
    assert!(!evaluation.is_denied());
    assert!(evaluation.checks()[0].events().table.malformed);
    assert!(!world.send(GET).checks()[0].events().table.malformed);
    // A request that changes nothing else resets the block too.
    garble(&mut world);
    assert!(world.send(FREE).checks()[0].events().table.malformed);
    assert!(!world.send(FREE).checks()[0].events().table.malformed);
}

#[test]
fn a_configuration_keeps_counts_whose_meaning_stays_the_same() {
    let identity = |limit: Value| {
        let mut tables = policy(one_limit(limit)).tables().collect::<Vec<_>>();
        tables.remove(0)
    };
    let key = json!(["method", {"header": "x-key"}]);
    let old = identity(json!({"key": key, "burst": 3}));
    assert_eq!(old.blocks, 8_192);
    for same in [
        json!({"key": key, "burst": 9}),
        json!({"key": key, "mode": "shadow", "match": {"methods": ["GET"]}, "missing": "deny"}),
        json!({"key": key, "charge_response": {"header": "x-cost"}}),
    ] {
        assert_eq!(identity(same.clone()), old, "{same}");
    }
    for other in [
        json!({"key": ["method"]}),
        json!({"key": ["method", {"cookie": "x-key"}]}),
        json!({"key": key, "algorithm": "fixed_window"}),
        json!({"key": key, "rate": {"requests": 2, "per": "1h"}}),
        json!({"key": key, "rate": {"requests": 1, "per": "2h"}}),
    ] {
        assert_ne!(identity(other.clone()).identity, old.identity, "{other}");
    }
}

#[test]
fn tables_are_as_large_as_they_need_to_be() {
    let policy = policy(json!({"max_keys": 100, "limits": [
        named("all", json!({})),
        named("constant", json!({"key": [{"constant": "v2"}]})),
        named("keyed", json!({"key": ["method"]})),
        named("never", json!({"key": ["method"], "rate": {"requests": 0, "per": "1s"}})),
        named("off", json!({"key": ["method"], "mode": "off"}))
    ]}));
    let blocks: Vec<u32> = policy.tables().map(|table| table.blocks).collect();
    assert_eq!(blocks, [1, 1, 16, 0, 0]);
}
