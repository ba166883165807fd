//! Tokens whose signatures are not good, so that the same one does not cost another verification.
//!
//! A forgery is known by its keyed hash alone, of 128 bits: nobody can make a token that is taken for
//! one. Each has one slot where it can be, and takes it from whatever was there. A flood of different
//! bad signatures goes through; each of them costs a verification.

use portcullis_table::KeyHash;

/// A power of two. The slots take 24 KiB.
const SLOTS: u32 = 1 << 10;

/// BadSignatureCache that were seen lately.
#[derive(Debug, Default)]
pub(super) struct BadSignatureCache(
    /// Empty until the first one.
    Vec<Option<KeyHash>>,
);

impl BadSignatureCache {
    pub(super) fn contains(&self, token: KeyHash) -> bool {
        self.0
            .get(slot(token))
            .is_some_and(|known| *known == Some(token))
    }

    pub(super) fn insert(&mut self, token: KeyHash) {
        self.0.resize(SLOTS as usize, None);
        if let Some(place) = self.0.get_mut(slot(token)) {
            *place = Some(token);
        }
    }

    /// Forgets all: with other keys, a signature can be good.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn slot(token: KeyHash) -> usize {
    token.block(SLOTS) as usize
}
