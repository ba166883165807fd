//! The stored document, and how long it is used.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_failure_leaves_the_document_alone() {
    let mut world = World::with(b"keys");
    let generation = world.view().generation;
    for _ in 0..5 {
        let (_, ticket) = world.wait(Trigger::Due);
        assert!(world.fail(ticket));
    }
    let view = world.view();
    assert_eq!((view.body, view.generation), (&b"keys"[..], generation));
    assert_eq!(view.failures, 5);
}

#[test]
fn a_document_that_is_empty_or_too_large_is_a_failure() {
    let largest = vec![b'a'; MAX_BODY];
    let too_large = vec![b'a'; MAX_BODY + 1];
    let mut world = World::with(&largest);
    for (failures, body) in [(1, &[][..]), (2, &too_large)] {
        let (_, ticket) = world.wait(Trigger::Due);
        assert_eq!(world.succeed(ticket, body), StoreResult::Refused);
        assert_eq!(world.view().failures, failures);
        assert!(world.view().body == largest);
        assert!(matches!(
            world.acquire(Trigger::Due),
            Acquired::NotBefore(_)
        ));
    }
}

#[test]
fn the_same_document_keeps_its_generation_and_is_younger() {
    let mut world = World::with(b"keys");
    let generation = world.view().generation;
    let (_, ticket) = world.wait(Trigger::Due);
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Unchanged);
    assert_eq!(world.view().generation, generation);
    assert_eq!(world.view().age(world.now), Some(Nanos::ZERO));
    let (_, ticket) = world.wait(Trigger::Due);
    assert_eq!(world.succeed(ticket, b"kezs"), StoreResult::Changed);
    assert!(world.view().generation > generation);
}

#[test]
fn it_is_fresh_then_stale_then_expired() {
    let mut world = World::new();
    assert_eq!(world.freshness(), Freshness::Never);
    assert_eq!(world.view().age(world.now), None);
    let ticket = world.fetch(Trigger::Due);
    // The age counts from the start of the fetch.
    world.now += SECOND;
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Changed);
    let day = MINUTE * (24 * 60);
    for (age, status) in [
        (SECOND, Freshness::Fresh),
        (MINUTE * 10 - NANO, Freshness::Fresh),
        (MINUTE * 10, Freshness::Stale),
        (MINUTE * 10 + day - NANO, Freshness::Stale),
        (MINUTE * 10 + day, Freshness::Expired),
    ] {
        world.now = START + age;
        assert_eq!(world.freshness(), status);
        assert_eq!(world.view().age(world.now), Some(age));
        assert_eq!(status.is_usable(), status != Freshness::Expired);
    }
    // It is due at once, for either reason.
    world.fetch(Trigger::Miss);
}

#[test]
fn without_an_end_it_never_expires() {
    let mut world = World::with(b"keys");
    world.schedule.keep_stale = Nanos::MAX;
    world.now = Nanos::MAX - NANO;
    assert_eq!(world.freshness(), Freshness::Stale);
}

#[test]
fn a_late_answer_serves_those_who_wait_and_leaves_the_new_lease_alone() {
    let mut world = World::new();
    let slow = world.fetch(Trigger::Due);
    world.now += SECOND * 4;
    let other = world.fetch(Trigger::Due);
    let held = world.acquire(Trigger::Due);
    assert!(matches!(held, Acquired::Held { .. }));
    assert_eq!(world.succeed(slow, b"keys"), StoreResult::Changed);
    assert_eq!(world.view().body, b"keys");
    assert_eq!(world.acquire(Trigger::Due), held);
    assert_eq!(world.succeed(other, b"newer keys"), StoreResult::Changed);
    assert_eq!(world.view().body, b"newer keys");
}

#[test]
fn an_answer_that_is_older_than_what_is_stored_is_dropped() {
    let mut world = World::new();
    let slow = world.fetch(Trigger::Due);
    world.now += SECOND * 4;
    let other = world.fetch(Trigger::Due);
    assert_eq!(world.succeed(other, b"newer keys"), StoreResult::Changed);
    for body in [&b"keys"[..], b"newer keys"] {
        assert_eq!(world.succeed(slow, body), StoreResult::Late);
        assert_eq!(world.succeed(other, body), StoreResult::Late);
    }
    assert_eq!(world.view().body, b"newer keys");
    assert_eq!(world.view().age(world.now), Some(Nanos::ZERO));
}

#[test]
fn only_the_latest_fetch_can_fail_and_only_once() {
    let mut world = World::new();
    let slow = world.fetch(Trigger::Due);
    world.now += SECOND * 4;
    let other = world.fetch(Trigger::Due);
    assert!(!world.fail(slow));
    assert_eq!(world.succeed(slow, b""), StoreResult::Refused);
    assert!(matches!(world.acquire(Trigger::Due), Acquired::Held { .. }));
    assert!(world.fail(other));
    assert!(!world.fail(other));
    // The lost fetch, and the failed one.
    assert_eq!(world.view().failures, 2);
}

/// No other worker has fetched, so the answer counts as if in time.
#[test]
fn an_answer_after_the_end_of_the_lease_counts_if_nobody_fetched_meanwhile() {
    let mut world = World::new();
    let ticket = world.fetch(Trigger::Due);
    world.now += MINUTE;
    assert!(world.fail(ticket));
    let (waited, ticket) = world.wait(Trigger::Due);
    assert_eq!(waited, SECOND);
    world.now += MINUTE;
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Changed);
    assert_eq!(world.view().failures, 0);
}
