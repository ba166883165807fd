//! The blocks of tables, in the memory of the process.
//!
//! A table belongs to the process: all workers find it by the names of its plugin and instance and by its identity, and
//! so does a new configuration. It is never freed, because a later configuration may ask for it again. The number of
//! tables is bounded by the number of configurations, and the size of each by its policy, which chooses the blocks.
//!
//! # Locks
//!
//! The blocks are spread over 64 locks. The number of a block is a keyed hash, so its lowest bits spread any
//! traffic evenly, except one hot key: its updates queue for one lock, each for the time of one edit.
//!
//! Each edit first copies the block. If the edit panics, the block gets its old bytes back and the lock is released, so
//! the panic costs one exchange its update and nobody else anything. The buffer for the copy belongs to the lock, and a
//! block has exactly the memory that it needs. So an update allocates memory only when a block comes or changes its
//! length.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;

/// The number of locks of a table.
const SHARDS: u32 = 64;

/// Plugin, instance and identity of a table.
type Key = (String, String, u64);

static TABLES: Mutex<BTreeMap<Key, Arc<SharedTable>>> = Mutex::new(BTreeMap::new());

/// A table that all workers share.
#[derive(Debug)]
pub struct SharedTable {
    shards: [Shard; SHARDS as usize],
}

impl SharedTable {
    /// The table with these names and this identity. The first call creates it, empty.
    pub fn open(plugin: &str, instance: &str, identity: u64) -> Arc<Self> {
        let key = (plugin.to_owned(), instance.to_owned(), identity);
        let mut tables = lock(&TABLES);
        let new = || Arc::new(Self::new());
        tables.entry(key).or_insert_with(new).clone()
    }

    fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
        }
    }

    /// Changes a block atomically.
    ///
    /// `edit` gets the bytes of the block, which are empty if it was never stored, and returns whether it changed
    /// them. Otherwise its changes are dropped. If it panics, the block is as before.
    ///
    /// `edit` must not update a table itself: it could wait for its own lock.
    pub fn update(&self, block: u32, edit: &mut dyn FnMut(&mut Vec<u8>) -> bool) {
        let Some(shard) = self.shards.get((block % SHARDS) as usize) else {
            return;
        };
        let mut blocks = shard.lock();
        let Blocks { stored, scratch } = &mut *blocks;
        scratch.clear();
        let number = block / SHARDS;
        match stored.get_mut(&number) {
            Some(bytes) => {
                scratch.extend_from_slice(bytes);
                let block = Restore {
                    bytes,
                    before: scratch,
                };
                if edit(block.bytes) {
                    block.keep();
                }
            }
            None => {
                if edit(scratch) {
                    stored.insert(number, scratch.as_slice().to_vec());
                }
            }
        }
    }
}

/// Restores a block when it is dropped, after an edit without change as after one that panicked.
struct Restore<'a> {
    bytes: &'a mut Vec<u8>,
    before: &'a [u8],
}

impl Restore<'_> {
    /// Keeps the block as it is now, in as little memory as possible.
    fn keep(self) {
        let mut block = ManuallyDrop::new(self);
        if block.bytes.capacity() != block.bytes.len() {
            block.bytes.shrink_to_fit();
        }
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(self.before);
    }
}

/// A lock and its blocks. It has two cache lines for itself, because processors fetch them in pairs: updates of one
/// shard must not slow down those of its neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Blocks>);

impl Shard {
    /// A panic within an edit leaves the blocks as they were, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Blocks> {
        lock(&self.0)
    }
}

#[derive(Debug, Default)]
struct Blocks {
    /// By the number of the block without the bits that chose the shard.
    stored: HashMap<u32, Vec<u8>, BuildHasherDefault<BlockHasher>>,
    /// The copy of the block that is edited; for a new block, the bytes that are edited.
    scratch: Vec<u8>,
}

/// Hashes the number of a block, which is itself taken from a keyed hash: it needs to be spread over all bits, not to
/// be hidden.
#[derive(Default)]
struct BlockHasher(u64);

impl Hasher for BlockHasher {
    fn write_u32(&mut self, number: u32) {
        // 2⁶⁴ divided by the golden ratio: neighbouring numbers land far apart, in the high bits as in the low ones.
        self.0 = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(self.0 as u32 ^ u32::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
