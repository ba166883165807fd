//! Hashes keys to their blocks and tags.

use std::fmt;
use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13 as SipHasher64;
use siphasher::sip128::{Hasher128, SipHasher13};

/// Random bytes that make the key hash of a process unpredictable.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 16]);

impl Seed {
    /// A seed from unpredictable bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

/// Hides the bytes: anybody who knows them can choose keys that share a block.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Hashes a key part by part.
///
/// Each part is preceded by its length, so that (`a`, `b_c`) and (`a_b`, `c`) are different keys. A missing part
/// differs from every other part.
#[derive(Clone, Debug)]
pub struct KeyHasher(SipHasher13);

/// The length that marks a missing part. No part is that long.
const MISSING: u64 = u64::MAX;

impl KeyHasher {
    /// A key without parts.
    pub fn new(seed: &Seed) -> Self {
        Self(SipHasher13::new_with_key(&seed.0))
    }

    /// Adds a part.
    pub fn part(&mut self, part: &[u8]) {
        let length = (part.len() as u64).to_le_bytes();
        // One write for an address, which is the usual key.
        let mut both = [0; 24];
        let (start, end) = both.split_at_mut(length.len());
        start.copy_from_slice(&length);
        match end.get_mut(..part.len()) {
            Some(end) => {
                end.copy_from_slice(part);
                let size = length.len() + part.len();
                self.0.write(both.get(..size).unwrap_or_default());
            }
            None => {
                self.0.write(&length);
                self.0.write(part);
            }
        }
    }

    /// Adds a missing part.
    pub fn missing_part(&mut self) {
        self.0.write(&MISSING.to_le_bytes());
    }

    /// The hash of all parts.
    pub fn finish(self) -> KeyHash {
        let hash = self.0.finish128();
        KeyHash {
            place: hash.h1,
            tag: hash.h2,
        }
    }
}

/// The hash of a key: its block, and its tag within the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHash {
    place: u64,
    tag: u64,
}

impl KeyHash {
    /// The block of the key in a table with this number of blocks, a power of two.
    pub fn block(self, blocks: u32) -> u32 {
        let mask = u64::from(blocks).saturating_sub(1);
        // The mask has 32 bits.
        (self.place & mask) as u32
    }

    /// The tag, which distinguishes the key from the others of its block.
    pub fn tag(self) -> u64 {
        self.tag
    }
}

/// A hash of everything that gives a state its meaning. It is the same in every worker and after every configuration
/// update, so a state stays usable while its fingerprint does. It has no seed, so do not use it for keys that clients
/// choose.
pub fn fingerprint(meaning: impl Hash) -> u64 {
    let mut hasher = SipHasher64::new();
    meaning.hash(&mut hasher);
    hasher.finish()
}
