//! Tokens with bad signatures: a repeated one costs no second verification.
//!
//! The cache stores only the keyed hash of a token, 128 bits, so nobody can make another token that matches an
//! entry. Each hash has one slot, and replaces the previous occupant. A flood of different tokens is not stopped:
//! each of them costs a verification.

use portcullis_table::KeyHash;

/// A power of two. The slots take 24 KiB.
const SLOTS: u32 = 1 << 10;

/// Recent tokens with bad signatures.
#[derive(Debug, Default)]
pub(super) struct BadSignatureCache(
    /// Allocated with the first entry.
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

    /// Removes all entries: with other keys, a signature may be good.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn slot(token: KeyHash) -> usize {
    token.block(SLOTS) as usize
}
