//! Which worker fetches, and when.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn one_fetches_and_the_others_wait() {
    let mut world = World::new();
    let ticket = world.fetch(Trigger::Due);
    let held = Acquired::Held {
        until: START + SECOND * 3,
    };
    assert_eq!(world.acquire(Trigger::Due), held);
    assert_eq!(world.acquire(Trigger::Miss), held);
    world.now += SECOND;
    assert_eq!(world.acquire(Trigger::Due), held);
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Changed);
    assert_eq!(world.view().body, b"keys");
    assert_eq!(
        world.acquire(Trigger::Due),
        Acquired::NotBefore(START + MINUTE * 8)
    );
}

#[test]
fn a_document_is_fetched_again_before_it_is_stale() {
    for (random, at) in [(0, SECOND * 480), (1 << 63, SECOND * 510)] {
        let mut world = World::new();
        let ticket = world.fetch(Trigger::Due);
        world.edit(|schedule, value, now| schedule.succeed(value, ticket, now, b"keys", random));
        let (waited, _) = world.wait(Trigger::Due);
        assert_eq!(waited, at);
        assert_eq!(world.freshness(), Freshness::Fresh);
    }
    let mut world = World::new();
    let ticket = world.fetch(Trigger::Due);
    world.edit(|schedule, value, now| schedule.succeed(value, ticket, now, b"keys", u64::MAX));
    assert_eq!(world.wait(Trigger::Due).0, SECOND * 540 - NANO);
}

/// Requests wait and ask all the time. The server is called seldom, and found soon after it is back.
#[test]
fn a_server_that_is_down_at_the_start_is_asked_at_the_pace_of_the_back_off() {
    let mut world = World::new();
    let mut ticket = world.fetch(Trigger::Due);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert!(world.fail(ticket));
        assert!(matches!(
            world.acquire(Trigger::Miss),
            Acquired::NotBefore(_)
        ));
        let (waited, next) = world.wait(Trigger::Due);
        pauses.push(waited.floor_secs());
        ticket = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(world.freshness(), Freshness::Never);
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Changed);
    assert_eq!(world.freshness(), Freshness::Fresh);
    assert_eq!(world.view().failures, 0);
}

#[test]
fn a_pause_is_half_random_and_no_longer_than_the_refresh() {
    let mut world = World::new();
    world.schedule.refresh = SECOND * 3;
    let mut ticket = world.fetch(Trigger::Due);
    let mut pauses = Vec::new();
    for random in [1 << 63, u64::MAX, 0, 0] {
        assert!(world.fail_with(ticket, random, None));
        let (waited, next) = world.wait(Trigger::Due);
        pauses.push(waited.ceil_millis());
        ticket = next;
    }
    assert_eq!(pauses, [750, 1001, 3000, 3000]);
}

#[test]
fn a_server_can_ask_for_a_longer_pause_but_not_for_an_endless_one() {
    for (retry_after, expected) in [
        (Nanos::ZERO, SECOND),
        (MILLISECOND, SECOND),
        (SECOND * 90, SECOND * 90),
        (Nanos::MAX, MINUTE * 5),
    ] {
        let mut world = World::new();
        let ticket = world.fetch(Trigger::Due);
        assert!(world.fail_with(ticket, 0, Some(retry_after)));
        assert_eq!(world.wait(Trigger::Due).0, expected);
    }
}

#[test]
fn a_worker_that_crashed_blocks_nobody() {
    let mut world = World::with(b"keys");
    world.wait(Trigger::Due);
    assert_eq!(
        world.acquire(Trigger::Due),
        Acquired::Held {
            until: world.now + SECOND * 3
        }
    );
    // The lease is over, but a lost fetch counts as a failed one.
    world.now += SECOND * 3;
    assert_eq!(world.wait(Trigger::Due).0, SECOND);
    assert_eq!(world.view().body, b"keys");
}

/// A document that crashes its parser crashes workers at the pace of the back-off, not of the leases.
#[test]
fn workers_that_crash_again_and_again_fetch_ever_more_seldom() {
    let mut world = World::new();
    world.fetch(Trigger::Due);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        world.now += SCHEDULE.timeout + LEASE_MARGIN;
        pauses.push(world.wait(Trigger::Due).0.floor_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
}

#[test]
fn a_miss_fetches_once_for_all_and_not_again_soon() {
    let mut world = World::with(b"old keys");
    let known = world.view().generation;
    // Right after a refresh, which is possible.
    world.now += MILLISECOND * 10;
    let ticket = world.fetch(Trigger::Miss);
    assert!(matches!(
        world.acquire(Trigger::Miss),
        Acquired::Held { .. }
    ));
    assert_eq!(world.succeed(ticket, b"new keys"), StoreResult::Changed);
    // A worker that still has the old keys must read the new ones.
    for trigger in [Trigger::Due, Trigger::Miss] {
        assert_eq!(world.acquire_knowing(known, trigger), Acquired::Changed);
    }
    // The new keys lack it, too.
    assert_eq!(world.wait(Trigger::Miss).0, SECOND * 30);
}

#[test]
fn a_miss_that_found_the_same_again_and_one_that_failed_count_too() {
    let mut world = World::with(b"keys");
    let ticket = world.fetch(Trigger::Miss);
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Unchanged);
    let (waited, ticket) = world.wait(Trigger::Miss);
    assert_eq!(waited, SECOND * 30);
    assert!(world.fail(ticket));
    assert_eq!(world.wait(Trigger::Miss).0, SECOND * 30);
    assert_eq!(world.view().body, b"keys");
}

#[test]
fn a_refresh_neither_waits_for_misses_nor_counts_as_one() {
    let mut world = World::with(b"keys");
    world.now = START + MINUTE * 8 - SECOND;
    let ticket = world.fetch(Trigger::Miss);
    assert!(world.fail(ticket));
    // The miss and its failure were a second ago.
    world.now += SECOND;
    let ticket = world.fetch(Trigger::Miss);
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Unchanged);
    // The last fetch was a refresh. The miss before it counts.
    assert_eq!(world.wait(Trigger::Miss).0, SECOND * 29);
}

#[test]
fn a_miss_waits_for_the_end_of_the_back_off() {
    let mut world = World::with(b"keys");
    let (_, ticket) = world.wait(Trigger::Due);
    assert!(world.fail_with(ticket, 0, Some(MINUTE)));
    assert_eq!(world.wait(Trigger::Miss).0, MINUTE);
}

#[test]
fn another_schedule_applies_at_once() {
    let mut world = World::with(b"keys");
    world.now += MINUTE;
    assert!(matches!(
        world.acquire(Trigger::Due),
        Acquired::NotBefore(_)
    ));
    world.schedule.refresh = MINUTE;
    let ticket = world.fetch(Trigger::Due);
    assert!(world.fail_with(ticket, 0, Some(Nanos::MAX)));
    world.schedule.refresh = SECOND * 10;
    assert_eq!(world.wait(Trigger::Due).0, SECOND * 10);
    // But a lease keeps the end that its holder set.
    world.schedule.timeout = MILLISECOND;
    assert_eq!(
        world.acquire(Trigger::Due),
        Acquired::Held {
            until: world.now + SECOND * 3
        }
    );
}

#[test]
fn a_clock_that_stands_still_or_goes_back_a_little_harms_nothing() {
    let mut world = World::with(b"keys");
    world.now = world.now - MILLISECOND;
    assert_eq!(world.freshness(), Freshness::Fresh);
    assert_eq!(world.view().age(world.now), Some(Nanos::ZERO));
    let ticket = world.fetch(Trigger::Miss);
    assert_eq!(world.succeed(ticket, b"new keys"), StoreResult::Changed);
    assert_eq!(world.view().body, b"new keys");
    assert_eq!(
        world.acquire(Trigger::Due),
        Acquired::NotBefore(START + MINUTE * 8 + NANO)
    );
}
