//! The cache of verified tokens: a repeated token costs no second signature check.
//!
//! The cache finds a token by the keyed hash (128 bits) of its end, which is most of its signature or all of it, and
//! then compares the whole token. Valid tokens differ there; two that did not would only evict each other. The cache
//! has a limit in tokens and one in bytes, and evicts the least recently used token. Only valid tokens enter: a flood
//! of forged ones evicts none.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::verified::Verified;
use crate::jose::MAX_TOKEN;
use portcullis_table::KeyHash;

/// The average size of a token.
const TOKEN_BYTES: usize = 2 * 1024;

/// The tokens, by their hashes.
#[derive(Debug)]
pub(super) struct TokenCache {
    max_tokens: usize,
    max_bytes: usize,
    bytes: usize,
    /// The number of uses so far.
    uses: u64,
    entries: BTreeMap<KeyHash, Entry>,
    /// The tokens, by their last uses.
    order: BTreeMap<u64, KeyHash>,
}

#[derive(Debug)]
struct Entry {
    token: Box<[u8]>,
    last_use: u64,
    verified: Rc<Verified>,
}

impl TokenCache {
    /// A cache for this many tokens of average size.
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

    /// The entry of a token.
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

    /// Adds a token.
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

    /// Removes a token.
    pub(super) fn remove(&mut self, hash: KeyHash) {
        if let Some(entry) = self.entries.remove(&hash) {
            self.order.remove(&entry.last_use);
            self.bytes -= entry.token.len();
        }
    }

    /// Removes the tokens that do not meet the condition.
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

/// Compares eight bytes at a time in WebAssembly, whose `memcmp` compares one.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if !cfg!(target_arch = "wasm32") {
        return one == other;
    }
    let ((words, rest), (others, other_rest)) = (one.as_chunks(), other.as_chunks());
    let mut pairs = words.iter().zip(others);
    one.len() == other.len()
        && pairs.all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
        && rest == other_rest
}
