//! Random bytes for guests.

use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use crate::sync::lock;

/// A stream of bytes: unpredictable by default, or the same on every run from a seed. SplitMix64,
/// which is not for secrets; there are none here.
#[derive(Debug)]
pub(crate) struct Random(Mutex<u64>);

impl Default for Random {
    /// Seeded by the standard library's randomness.
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one(()))
    }
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        let mut state = lock(&self.0);
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = *state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}
