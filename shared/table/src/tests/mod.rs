//! Tests with the simplest state: a count that is its own eviction cost.

mod block;
mod eviction;
mod key;
mod memory_use;
mod size;

use super::{Block, State, Update, WhenFull};

/// The number of requests of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count(u32);

impl State for Count {
    type Bytes = [u8; 4];

    fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    fn join(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

const HEADER: usize = 1 + 4;
const SLOT: usize = 8 + 4;

/// Counts a key, and returns the count that it had.
fn count(bytes: &mut Vec<u8>, tag: u64, when_full: WhenFull, by: u32) -> Update<Count, Count> {
    let eviction_cost = |state: Count| state.0.into();
    Block::new(bytes).update(tag, when_full, eviction_cost, |old| {
        (Some(Count(old.0 + by)), old)
    })
}

/// A full block, in which the key 100 + i has the count `counts[i]`.
fn full_block(counts: [u32; super::SLOTS]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, by) in counts.into_iter().enumerate() {
        assert!(count(&mut bytes, 100 + i as u64, WhenFull::Forgive, by).occupied);
    }
    bytes
}

fn counts(bytes: &mut Vec<u8>) -> [Option<u32>; super::SLOTS] {
    let block = Block::<Count>::new(bytes);
    std::array::from_fn(|i| block.get(100 + i as u64).map(|count| count.0))
}
