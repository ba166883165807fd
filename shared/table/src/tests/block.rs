//! The layout of a block, and bytes that do not have it.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::SLOTS;

#[test]
fn no_bytes_are_an_empty_block() {
    let mut bytes = Vec::new();
    let block = Block::<Count>::new(&mut bytes);
    assert!(!block.was_malformed());
    assert!(block.is_empty());
    assert_eq!(block.get(1), None);
    assert_eq!(bytes, [1, 0, 0, 0, 0]);
}

/// Other versions of the module may use the same store, so the layout must not change unnoticed.
#[test]
fn the_layout_is_this_one() {
    let mut bytes = Vec::new();
    count(&mut bytes, 0x0807_0605_0403_0201, WhenFull::Forgive, 0x0b0a);
    assert_eq!(
        bytes,
        [1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x0a, 0x0b, 0, 0]
    );
}

/// A count for which "stricter" has no meaning.
#[derive(Clone, Copy, Default)]
struct Plain(Count);

impl State for Plain {
    type Bytes = [u8; 4];

    const HAS_FLOOR: bool = false;

    fn to_bytes(self) -> [u8; 4] {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(Count::from_bytes(bytes))
    }
}

#[test]
fn states_without_a_floor_take_no_room_for_it() {
    let mut bytes = Vec::new();
    let add = |bytes: &mut Vec<u8>, tag| {
        Block::<Plain>::new(bytes).update(
            tag,
            WhenFull::Forgive,
            |state| state.0.0.into(),
            |_| (Some(Plain(Count(7))), ()),
        )
    };
    add(&mut bytes, 2);
    assert_eq!(bytes, [1, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]);
    for tag in 3..2 + SLOTS as u64 {
        assert!(add(&mut bytes, tag).occupied);
    }
    assert_eq!(add(&mut bytes, 1).replaced, Some(2));
    assert_eq!(bytes.len(), 1 + SLOTS * SLOT);
}

#[test]
fn every_key_keeps_its_own_state() {
    let mut bytes = full_block(std::array::from_fn(|i| i as u32));
    count(&mut bytes, 107, WhenFull::Forgive, 10);
    let expected = std::array::from_fn(|i| Some(if i == 7 { 17 } else { i as u32 }));
    assert_eq!(counts(&mut bytes), expected);
    assert_eq!(Block::<Count>::new(&mut bytes).len(), SLOTS);
}

#[test]
fn no_decision_no_change() {
    let mut bytes = full_block([5; SLOTS]);
    let before = bytes.clone();
    for tag in [100, 1] {
        let update = Block::<Count>::new(&mut bytes).update(
            tag,
            WhenFull::Strict,
            |state| state.0.into(),
            |old| (None, old),
        );
        assert_eq!(update.outcome, Count(5));
        assert!(!update.changed && !update.occupied);
        assert!(update.replaced.is_none() && update.evicted.is_none());
    }
    assert_eq!(bytes, before);
}

#[test]
fn amend_changes_only_what_is_there() {
    let mut bytes = full_block([5; SLOTS]);
    let mut block = Block::<Count>::new(&mut bytes);
    assert!(!block.amend(1, |_| Count(9)));
    assert!(block.amend(103, |old| Count(old.0 - 1)));
    let expected = std::array::from_fn(|i| Some(if i == 3 { 4 } else { 5 }));
    assert_eq!(counts(&mut bytes), expected);
}

#[test]
fn another_version_or_length_is_an_empty_block_and_says_so() {
    let valid = full_block([5; SLOTS]);
    let mut other_version = valid.clone();
    other_version[0] = 2;
    let mut too_many = valid.clone();
    too_many.extend([0; SLOT]);
    for bytes in [
        other_version,
        too_many,
        valid[..valid.len() - 1].to_vec(),
        valid[..HEADER - 1].to_vec(),
        vec![1],
        vec![0],
    ] {
        let mut bytes = bytes;
        let block = Block::<Count>::new(&mut bytes);
        assert!(block.was_malformed());
        assert!(block.is_empty());
        assert!(!Block::<Count>::new(&mut bytes).was_malformed());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_become_a_block(
        mut bytes in prop::collection::vec(any::<u8>(), 0..=HEADER + 18 * SLOT),
        version in any::<bool>(),
        tags in prop::collection::vec(any::<u64>(), 0..40),
    ) {
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = 1;
        }
        for tag in tags {
            let mut block = Block::<Count>::new(&mut bytes);
            block.update(tag, WhenFull::Strict, |state| state.0.into(), |_| (Some(Count(7)), ()));
            prop_assert_eq!(block.get(tag), Some(Count(7)));
            prop_assert!(block.len() <= SLOTS);
        }
    }
}
