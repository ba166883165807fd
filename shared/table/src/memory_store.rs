//! An in-memory store that several workers can share, for tests of policies and for simulations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Edit, GaveUp, Seed, Store};

/// The blocks, each with the number of its writes.
type Blocks = HashMap<(usize, u32), (Vec<u8>, u64)>;

/// A handle to shared blocks. As in a proxy, an update reads a block, compares, and writes it, so that concurrent
/// updates do interleave.
#[derive(Clone)]
pub struct MemoryStore {
    seed: Seed,
    blocks: Arc<Mutex<Blocks>>,
    /// The number of updates until this handle gives up.
    pub updates_left: u32,
    /// The number of updates through this handle that changed something.
    pub writes: u32,
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
    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of all blocks in bytes.
    pub fn size(&self) -> usize {
        let blocks = self.lock();
        blocks.values().map(|(bytes, _)| bytes.len()).sum()
    }

    /// A copy of all blocks, by table and block.
    pub fn contents(&self) -> HashMap<(usize, u32), Vec<u8>> {
        let blocks = self.lock();
        let contents = blocks.iter().map(|(at, (bytes, _))| (*at, bytes.clone()));
        contents.collect()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl MemoryStore {
    /// Runs workers on threads of their own, each with a handle on the same blocks, as the workers of a proxy. Returns
    /// their results in order.
    ///
    /// # Panics
    /// If one of them does.
    #[allow(
        clippy::disallowed_methods,
        reason = "threads stand for the workers of a proxy; a policy has none"
    )]
    pub fn race<T: Send>(&self, workers: usize, work: impl Fn(usize, Self) -> T + Sync) -> Vec<T> {
        let work = &work;
        std::thread::scope(|scope| {
            let start = |worker| {
                let store = self.clone();
                scope.spawn(move || work(worker, store))
            };
            let workers: Vec<_> = (0..workers).map(start).collect();
            let results = workers.into_iter().map(|worker| {
                let result = worker.join();
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            results.collect()
        })
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
            let read = self.lock().get(&(table, block)).cloned();
            let (mut bytes, version) = read.unwrap_or_default();
            let Edit { changed, outcome } = edit(&mut bytes);
            if !changed {
                return Ok(outcome);
            }
            // Lets other workers write in between.
            std::thread::yield_now();
            let mut blocks = self.lock();
            let current = blocks.entry((table, block)).or_default();
            if current.1 == version {
                *current = (bytes, version + 1);
                drop(blocks);
                self.writes += 1;
                return Ok(outcome);
            }
        }
    }
}
