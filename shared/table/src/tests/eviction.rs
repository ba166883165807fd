//! Which key is evicted from a full block, and which state the new key gets.

use std::collections::HashMap;

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::SLOTS;

/// Counts 30, 31, 32 …, but 3 at place 9.
fn least_at_9() -> [u32; SLOTS] {
    std::array::from_fn(|i| if i == 9 { 3 } else { 30 + i as u32 })
}

#[test]
fn the_lowest_eviction_cost_makes_room() {
    let mut bytes = full_block(least_at_9());
    let update = count(&mut bytes, 1, WhenFull::Forgive, 1);
    assert_eq!(update.evicted, Some(Count(3)));
    assert_eq!(update.replaced, Some(109));
    assert!(!update.occupied);
    let mut expected = least_at_9().map(Some);
    expected[9] = None;
    assert_eq!(counts(&mut bytes), expected);
}

#[test]
fn what_is_expired_makes_room_and_is_no_eviction() {
    let mut bytes = full_block([5, 4, 0, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5]);
    let update = count(&mut bytes, 1, WhenFull::Strict, 1);
    assert_eq!(update.evicted, None);
    assert_eq!(update.replaced, Some(102));
    assert_eq!(update.outcome, Count(0));
    assert_eq!(counts(&mut bytes)[2], None);
}

#[test]
fn forgive_starts_clean_and_strict_does_not() {
    let newcomer = |when_full| {
        let mut bytes = full_block(least_at_9());
        count(&mut bytes, 1, when_full, 1).outcome
    };
    assert_eq!(newcomer(WhenFull::Forgive), Count(0));
    assert_eq!(newcomer(WhenFull::Strict), Count(3));
}

/// A refund to the new key makes the lowest count in the block lower than the count of the evicted key. `Strict` must
/// not forget the latter.
#[test]
fn a_refund_does_not_lower_what_strict_demands() {
    let mut bytes = full_block(least_at_9());
    count(&mut bytes, 1, WhenFull::Strict, 20);
    assert!(Block::<Count>::new(&mut bytes).amend(1, |_| Count(0)));
    assert_eq!(
        count(&mut bytes, 109, WhenFull::Strict, 1).outcome,
        Count(3)
    );
}

/// Updates of far more keys than the block has slots. Some of them are refunded.
fn steps() -> impl Strategy<Value = Vec<(u64, u32, bool)>> {
    let step = (0..40_u64, 0..10_u32, prop::bool::weighted(0.2));
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn strict_never_knows_less_than_what_was_counted(steps in steps()) {
        let mut bytes = Vec::new();
        let mut truth = HashMap::<u64, u32>::new();
        for (tag, by, is_taken_back) in steps {
            let known = count(&mut bytes, tag, WhenFull::Strict, by).outcome;
            let counted = truth.entry(tag).or_default();
            prop_assert!(known.0 >= *counted, "{known:?} of {counted}");
            if is_taken_back {
                Block::<Count>::new(&mut bytes).amend(tag, |state| Count(state.0 - by));
            } else {
                *counted += by;
            }
        }
    }

    #[test]
    fn forgive_forgives_the_least_in_the_block(steps in steps()) {
        let mut bytes = Vec::new();
        for (tag, by, _) in steps {
            let before = bytes.clone();
            let evicted = count(&mut bytes, tag, WhenFull::Forgive, by).evicted;
            let Some(victim) = evicted else { continue };
            for slot in before[HEADER..].chunks(SLOT) {
                let held = u32::from_le_bytes(slot[8..].try_into().unwrap());
                prop_assert!(victim.0 <= held);
            }
        }
    }
}
