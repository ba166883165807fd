//! A store in memory that several workers can share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{Edit, GaveUp, Seed, Store};

/// The blocks, each with the number of times that it was written.
type Blocks = HashMap<(usize, u32), (Vec<u8>, u64)>;

/// A handle on shared blocks. A block is read and written in two steps with a comparison between, as
/// in a proxy, so that updates do come between each other.
#[derive(Clone)]
pub(crate) struct MemoryStore {
    seed: Seed,
    blocks: Arc<Mutex<Blocks>>,
    /// After so many updates, this handle gives up at once.
    pub(crate) updates_left: u32,
    /// How many updates changed something, of this handle.
    pub(crate) writes: u32,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            seed: Seed::new([7; 16]),
            blocks: Arc::default(),
            updates_left: u32::MAX,
            writes: 0,
        }
    }
}

impl MemoryStore {
    /// How many bytes the blocks take.
    pub(crate) fn size(&self) -> usize {
        let blocks = self.blocks.lock().unwrap();
        blocks.values().map(|(bytes, _)| bytes.len()).sum()
    }

    pub(crate) fn contents(&self) -> HashMap<(usize, u32), Vec<u8>> {
        let blocks = self.blocks.lock().unwrap();
        let contents = blocks.iter().map(|(at, (bytes, _))| (*at, bytes.clone()));
        contents.collect()
    }
}

impl Store for MemoryStore {
    fn seed(&self) -> &Seed {
        &self.seed
    }

    fn update<T>(
        &mut self,
        table: usize,
        block: u32,
        mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
    ) -> Result<T, GaveUp> {
        self.updates_left = self.updates_left.checked_sub(1).ok_or(GaveUp)?;
        loop {
            let read = self.blocks.lock().unwrap().get(&(table, block)).cloned();
            let (mut bytes, version) = read.unwrap_or_default();
            let Edit { changed, outcome } = edit(&mut bytes);
            if !changed {
                return Ok(outcome);
            }
            // Here others come between.
            std::thread::yield_now();
            let mut blocks = self.blocks.lock().unwrap();
            let current = blocks.entry((table, block)).or_default();
            if current.1 == version {
                *current = (bytes, version + 1);
                self.writes += 1;
                return Ok(outcome);
            }
        }
    }
}
