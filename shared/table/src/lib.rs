//! State for many keys in bounded memory: the pure half of the shared table.
//!
//! The workers of a proxy share a store of values without deletion and expiry: every key ever written stays. So a
//! table is a **fixed number of blocks**, each of which is one value in that store, with room for [`SLOTS`] keys and
//! a small, fixed-size [`State`] for each. A key belongs to one block; in a full block it takes the slot of another
//! key. A block is created when the first key needs it, so a table uses memory only as keys arrive. [`MemoryUse`] is
//! the maximum.
//!
//! Everything here is pure. The host keeps the blocks and implements [`Store`] as a compare-and-swap loop around
//! [`Block`], which edits the bytes of one block.
//!
//! # Keys
//!
//! SipHash-1-3 hashes a key to 128 bits (see [`KeyHasher`]): 64 of them choose the block, the other 64 are the
//! **tag**, which the slot stores instead of the key. Two keys of one block are confused if their tags are equal.
//! With a million keys at a time, the probability that this happens to any of them is below 10⁻¹².
//!
//! Each process seeds the hash with random bytes, its [`Seed`], so that nobody outside can choose keys that share a
//! block or a tag.
//!
//! # Layout of a block
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of the layout, 1 |
//! | `S` | the floor: the join of all states that were evicted from this block; absent if the states have none |
//! | 8 + `S`, for each slot in use | tag (little-endian), state |
//!
//! `S` is the size of the state. A slot, once used, stays in use; only its key changes. An empty value is an empty
//! block. Bytes of another version, or of a length that is no whole number of slots, also read as an empty block,
//! and [`Block::was_malformed`] reports that.
//!
//! # Eviction
//!
//! Each state has an **eviction cost**: how much it matters to lose it, such as the debt of a client. A state
//! without cost has expired, and its key can be forgotten. In a full block, the victim is the slot with the lowest
//! cost, so expired slots go first. A flood of keys with low costs therefore evicts only keys with low costs: the
//! key with the highest cost in its block is never the victim while another one has a lower cost.
//!
//! [`WhenFull`] decides which state the new key starts with:
//!
//! - `Forgive`: a clean state. The eviction forgives the cost of the victim, which is the lowest in the block.
//! - `Strict`: the floor joined with the victim's state. Then no key ever has a milder state than it deserves,
//!   whatever the sequence of keys: a key that is not in the block was evicted from it or was never there, and the
//!   floor is at least as strict as every state that was ever evicted.
//!
//! This is the idea of the Space-Saving algorithm (Metwally, Agrawal, El Abbadi 2005): a new key inherits the lowest
//! count. There, the lowest count in the block bounds the error. Here, refunds can lower counts, which would break
//! that bound, so the floor remembers it.
//!
//! # Sizes
//!
//! [`SLOTS`] is 16. More slots would spread keys more evenly and offer better victims, but each update copies the
//! block twice and scans it, and updates of one block contend with each other. With 16 slots of 16 bytes, a block
//! has about 265 bytes. Copying them takes tens of nanoseconds; a call to the host takes hundreds.
//!
//! A hash spreads keys unevenly, so [`blocks_for`] plans to fill only half of the slots: for `max_keys` keys, a
//! block gets at most 8 on average, because the number of blocks is rounded up to a power of two. The number of keys
//! per block has a Poisson distribution. If this many of the `max_keys` keys are active at a time:
//!
//! | active keys | blocks with more than 16 keys | keys beyond the 16th of their block |
//! |---|---|---|
//! | `max_keys` | 0.37 % | 1 in 1,258 |
//! | ¾ of it | 0.017 % | 1 in 23,000 |
//! | ½ of it | 0.00011 % | 1 in 2,770,000 |
//!
//! A table for up to 16 keys has one block, and always has room.

mod block;
mod events;
mod key;
mod max_keys;
pub mod memory_store;
mod memory_use;
mod size;
#[cfg(test)]
mod tests;

pub use block::{Block, State, Update, WhenFull};
pub use events::TableEvents;
pub use key::{KeyHash, KeyHasher, Seed, fingerprint};
pub use max_keys::MaxKeys;
pub use memory_use::MemoryUse;
pub use size::{MAX_KEYS, SLOTS, blocks_for};

/// The result of a closure that edits the bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<T> {
    /// Whether the closure changed the bytes, so that they must be written back.
    pub changed: bool,
    /// The result for the caller.
    pub outcome: T,
}

/// Storage for the blocks of tables.
pub trait Store {
    /// The seed for hashing keys, which is the same for all users of the store.
    fn seed(&self) -> &Seed;

    /// Changes a block atomically.
    ///
    /// `edit` gets the bytes of the block, which are empty if nothing was stored yet. If another worker writes the
    /// block in the meantime, `edit` is called again with the new bytes; only the last call counts. After a bounded
    /// number of calls the store gives up and changes nothing.
    fn update<T>(
        &mut self,
        table: usize,
        block: u32,
        edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
    ) -> Result<T, GaveUp>;
}

/// The store could not carry out an update: other workers always wrote first, or the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;
