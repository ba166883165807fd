//! Tokens that were verified, so that their signatures need not be verified again.
//!
//! A token is found by the keyed hash (128 bits) of its end, which is most of its signature or all of it,
//! and then compared as a whole. Tokens that are good differ there; if two did not, they would drive
//! each other out, and no more. The cache holds as many tokens as there is room for, in tokens and in
//! bytes, and forgets the one that was used longest ago. Only what is valid gets in: a flood of forged
//! tokens drives out none.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::verified::Verified;
use crate::jose::MAX_TOKEN;
use portcullis_table::KeyHash;

/// What a token may take on average.
const TOKEN_BYTES: usize = 2 * 1024;

/// The tokens, by their hashes.
#[derive(Debug)]
pub(super) struct TokenCache {
    max_tokens: usize,
    max_bytes: usize,
    bytes: usize,
    /// Counts the uses.
    uses: u64,
    entries: BTreeMap<KeyHash, Entry>,
    /// The tokens by their last uses.
    order: BTreeMap<u64, KeyHash>,
}

#[derive(Debug)]
struct Entry {
    token: Box<[u8]>,
    last_use: u64,
    verified: Rc<Verified>,
}

impl TokenCache {
    /// A cache with room for so many tokens.
    pub(super) fn new(max_tokens: u32) -> Self {
        let max_tokens = max_tokens as usize;
        Self {
            max_tokens,
            max_bytes: max_tokens.saturating_mul(TOKEN_BYTES).max(MAX_TOKEN),
            bytes: 0,
            uses: 0,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// What is known of a token.
    pub(super) fn get(&mut self, hash: KeyHash, token: &[u8]) -> Option<Rc<Verified>> {
        let entry = self
            .entries
            .get_mut(&hash)
            .filter(|entry| is_same(&entry.token, token))?;
        if entry.last_use != self.uses {
            self.order.remove(&entry.last_use);
            self.uses += 1;
            entry.last_use = self.uses;
            self.order.insert(self.uses, hash);
        }
        Some(Rc::clone(&entry.verified))
    }

    /// Remembers a token.
    pub(super) fn insert(&mut self, hash: KeyHash, token: &[u8], verified: &Rc<Verified>) {
        self.remove(hash);
        if self.max_tokens == 0 || token.len() > self.max_bytes {
            return;
        }
        while self.entries.len() >= self.max_tokens || self.bytes + token.len() > self.max_bytes {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.remove(oldest);
        }
        self.uses += 1;
        self.bytes += token.len();
        self.order.insert(self.uses, hash);
        let entry = Entry {
            token: token.into(),
            last_use: self.uses,
            verified: Rc::clone(verified),
        };
        self.entries.insert(hash, entry);
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, hash: KeyHash) {
        if let Some(entry) = self.entries.remove(&hash) {
            self.order.remove(&entry.last_use);
            self.bytes -= entry.token.len();
        }
    }

    /// Forgets the tokens that are not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Verified) -> bool) {
        let others: Vec<KeyHash> = self
            .entries
            .iter()
            .filter(|(_, entry)| !is_kept(&entry.verified))
            .map(|(hash, _)| *hash)
            .collect();
        for hash in others {
            self.remove(hash);
        }
    }
}

/// Compares eight bytes at a time; the `memcmp` of WebAssembly takes each byte by itself.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (others, other_rest)) = (one.as_chunks(), other.as_chunks());
    let mut pairs = words.iter().zip(others);
    one.len() == other.len()
        && pairs.all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
        && rest == other_rest
}
