//! State for many keys in bounded memory: the pure half of the shared table.
//!
//! A proxy's workers share a store of values that knows neither deletion nor expiry; every key ever
//! written stays. So a table is a **fixed number of blocks**, and each block is one value in that
//! store: room for [`SLOTS`] keys with a small, fixed-size [`State`] each. A key belongs to one
//! block, and in a full block it takes the slot of another key. A block exists from the first key on
//! that needs it, so a table costs memory as keys come; [`MemoryUse`] is what it comes to at most.
//!
//! Everything here is pure. The host keeps the blocks and implements [`Store`], as a
//! compare-and-swap loop around what [`Block`] does to the bytes of a block.
//!
//! # Keys
//!
//! A key is hashed with SipHash-1-3 to 128 bits (see [`KeyHasher`]): 64 of them choose the block, the
//! other 64 are the **tag** that stands in the slot. The key itself is not kept. Two keys of one
//! block are confused when their tags are equal: for a million keys at a time the chance that this
//! happens to any of them is below 10⁻¹².
//!
//! The hash is seeded with random bytes, one [`Seed`] for each process, so that nobody outside can
//! choose keys that share a block or a tag.
//!
//! # Layout of a block
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of the layout, 1 |
//! | `S` | the floor: the join of all states that were evicted here; nothing if the states have none |
//! | 8 + `S`, for each slot in use | tag (little-endian), state |
//!
//! `S` is the size of the state. A slot, once used, stays in use; only its key changes. No bytes at
//! all are an empty block. Bytes of another version, or of a length that fits no number of slots,
//! read as an empty block, too, and [`Block::was_malformed`] says so.
//!
//! # Eviction
//!
//! Each state says how **harmful** it is to lose (the debt of a client, say); a state of no harm has
//! expired, and its key can as well be forgotten. In a full block the victim is the slot of the least
//! harm, expired ones first. So a flood of keys that do little drives out keys that did little: the
//! key of the most harm in its block is never the victim (while there is another with less).
//!
//! What the newcomer starts with is [`WhenFull`]:
//!
//! - `Forgive`: a clean state. What an eviction forgives is the victim's harm, the least in its block.
//! - `Strict`: the floor joined with the victim's state. No key then ever has a state that is milder
//!   than what it did, for whatever sequence of keys: a key that is not in the block was evicted
//!   from it or never there, and the floor is at least as strict as all states that were ever
//!   evicted.
//!
//! This is the idea of the Space-Saving algorithm (Metwally, Agrawal, El Abbadi 2005): the newcomer
//! inherits the count of the least. There the least count in the block bounds what was forgotten;
//! here counts can also go down by refunds, which would break that bound, so the floor remembers it.
//!
//! # Sizes
//!
//! [`SLOTS`] is 16. More slots spread keys more evenly and make for better victims; but the block is
//! copied twice for each update, scanned, and contended for as a whole. With 16 slots of 16 bytes a
//! block is about 265 bytes, whose copies cost some tens of nanoseconds, where a call to the host
//! costs hundreds.
//!
//! A hash spreads keys unevenly. [`blocks_for`] therefore plans with half the slots: for `max_keys`
//! keys there are so many blocks that a block gets 8 on average, or fewer, since the number is rounded
//! up to a power of two. How many keys one block gets is then Poisson distributed, and of `max_keys`
//! keys that are active at a time:
//!
//! | active keys | blocks with more than 16 keys | keys beyond the 16th of their block |
//! |---|---|---|
//! | `max_keys` | 0.37 % | 1 in 1,258 |
//! | ¾ of it | 0.017 % | 1 in 23,000 |
//! | ½ of it | 0.00011 % | 1 in 2,770,000 |
//!
//! Up to 16 keys have one block together, and always room.

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

/// What a closure did to the bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<T> {
    /// Whether the bytes are different now and must be written back.
    pub changed: bool,
    /// What the caller wanted to know.
    pub outcome: T,
}

/// Where the blocks of some tables are kept.
pub trait Store {
    /// The seed for hashing keys, the same for all who share the store.
    fn seed(&self) -> &Seed;

    /// Lets `edit` change a block, atomically.
    ///
    /// `edit` gets the bytes of the block, empty when nothing was stored yet. If somebody else
    /// writes the block in the meantime, it is called again with the new bytes; only the last call
    /// counts. After a bounded number of calls the store gives up, and nothing has changed.
    fn update<T>(
        &mut self,
        table: usize,
        block: u32,
        edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
    ) -> Result<T, GaveUp>;
}

/// The store could not carry out an update: others always came between, or the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;
