//! The bytes of the value, and the treatment of other bytes.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn no_bytes_are_no_document() {
    let view = View::read(&[]);
    assert!(!view.was_malformed);
    assert_eq!((view.generation, view.body), (0, &[][..]));
}

/// Other versions of the module may use the same store, so this must not change unnoticed.
#[test]
fn the_layout_is_this_one() {
    let ticket = Ticket(Nanos::new(0x0102));
    let mut value = Vec::new();
    let _ = SCHEDULE.acquire(&mut value, 0, Trigger::Due, Nanos::new(0x0102));
    let mut expected = [vec![1], vec![0; 72]].concat();
    expected[1..3].copy_from_slice(&[2, 1]);
    expected[9..17].copy_from_slice(&(0x0102 + 3_000_000_000_u64).to_le_bytes());
    assert_eq!(value, expected);

    let _ = SCHEDULE.fail(
        &mut value,
        ticket,
        Nanos::new(0x0304),
        0x0506,
        Some(Nanos::new(0x0708)),
    );
    expected[9..17].fill(0);
    expected[25] = 1;
    expected[33..35].copy_from_slice(&[4, 3]);
    expected[41..43].copy_from_slice(&[8, 7]);
    expected[49..51].copy_from_slice(&[6, 5]);
    assert_eq!(value, expected);

    let _ = SCHEDULE.succeed(&mut value, ticket, Nanos::new(0x090a), b"keys", 0x0b0c);
    expected[25] = 0;
    expected[49..51].copy_from_slice(&[0x0c, 0x0b]);
    expected[57..59].copy_from_slice(&[0x0a, 0x09]);
    expected[65..67].copy_from_slice(&[2, 1]);
    expected.extend(b"keys");
    assert_eq!(value, expected);

    let _ = SCHEDULE.acquire(&mut value, 0x090a, Trigger::Miss, Nanos::new(0x0d0e));
    assert_eq!(value[17..19], [0x0e, 0x0d]);
}

#[test]
fn bytes_of_another_kind_are_no_document_and_say_so() {
    let valid = World::with(b"keys").value;
    let mut other_version = valid.clone();
    other_version[0] = 2;
    let without_generation = [&valid[..57], &[0; 8], &valid[65..]].concat();
    for value in [
        other_version,
        without_generation,
        valid[..73].to_vec(),
        valid[..72].to_vec(),
        vec![1],
        b"{\"keys\":[]}".to_vec(),
    ] {
        let mut world = World::new();
        world.value = value;
        assert!(world.view().was_malformed);
        assert_eq!(world.freshness(), Freshness::Never);
        // A worker that knows a document reads again, and finds none.
        assert_eq!(
            world.acquire_knowing(START.get(), Trigger::Due),
            Acquired::Changed
        );
        let outcome = world.acquire(Trigger::Due);
        let ticket = Ticket(START);
        let was_malformed = true;
        assert_eq!(
            outcome,
            Acquired::Fetch {
                ticket,
                was_malformed
            }
        );
        assert!(!world.view().was_malformed);
    }
}

/// The value is lost between start and end of a fetch; a worker that cached something by its generation must notice.
#[test]
fn neither_generations_nor_tickets_come_back() {
    let mut world = World::with(b"keys");
    let known = world.view().generation;
    world.now += MINUTE * 8;
    let ticket = world.fetch(Trigger::Due);
    world.value = vec![0];
    assert!(!world.fail(ticket));
    assert_eq!(world.succeed(ticket, b"other keys"), StoreResult::Changed);
    assert!(world.view().generation > known);
    assert_eq!(world.view().body, b"other keys");
    // Nor does a ticket, with the clock of a worker that is slightly behind.
    world.now = world.now - MILLISECOND;
    let ticket = world.fetch(Trigger::Miss);
    assert_eq!(world.succeed(ticket, b"keys"), StoreResult::Changed);
}

proptest! {
    #[test]
    fn arbitrary_bytes_times_and_intervals_harm_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..90),
        version in any::<bool>(),
        [refresh, keep_stale, min_refetch_interval, timeout] in any::<[u64; 4]>(),
        known in prop::option::of(any::<u64>()),
        trigger in prop::sample::select(&[Trigger::Due, Trigger::Miss][..]),
        [now, ticket, random, retry_after] in any::<[u64; 4]>(),
    ) {
        let [refresh, keep_stale, min_refetch_interval, timeout, now, ticket, retry_after] =
            [refresh, keep_stale, min_refetch_interval, timeout, now, ticket, retry_after]
                .map(Nanos::new);
        let mut bytes = bytes;
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = 1;
        }
        let schedule = Schedule { refresh, keep_stale, min_refetch_interval, timeout };
        let View { was_malformed, generation, .. } = View::read(&bytes);
        let _ = View::read(&bytes).freshness(&schedule, now);
        let known = known.unwrap_or(generation);
        let mut value = bytes.clone();
        let acquired = schedule.acquire(&mut value, known, trigger, now);
        prop_assert_eq!(acquired.changed, matches!(acquired.outcome, Acquired::Fetch { .. }));
        prop_assert!(acquired.changed || value == bytes);
        prop_assert!(!(acquired.changed && View::read(&value).was_malformed));
        let mut value = bytes.clone();
        let failed = schedule.fail(&mut value, Ticket(ticket), now, random, Some(retry_after));
        prop_assert!(failed.changed || value == bytes);
        let mut value = bytes.clone();
        let stored = schedule.succeed(&mut value, Ticket(ticket), now, b"keys", random);
        prop_assert!(stored.changed || value == bytes);
        if stored.changed {
            prop_assert_eq!(View::read(&value).body, b"keys");
        } else {
            prop_assert!(!was_malformed || ticket == Nanos::ZERO);
        }
    }
}
