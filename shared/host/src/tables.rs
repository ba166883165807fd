//! [Tables](portcullis_table) of state in shared data.
//!
//! A block is one value. Its key is `p/`, a hash of plugin, policy and identity in hexadecimal, and the
//! block's number. The identity is a hash of the configuration that gives the states their meaning,
//! so that a new configuration finds the old states where they mean the same, and never misreads
//! them. The tables of instances with different names have nothing in common; those of the same name
//! and `vm_id` are the same tables, on however many listeners.
//!
//! A block is created with the first key that needs it, by any worker: a table costs memory as keys
//! come, and to open it costs nothing. [`shared_data`](crate::shared_data) says why two workers that
//! create a block at once lose nothing.
//!
//! The key has 22 bytes because that is what a string of libc++ holds in place. For a longer one, with
//! all names in clear, Envoy would allocate memory in each call, and 64 bytes more for each block.

use std::cell::RefCell;
use std::fmt;

use portcullis_core::config::Name;
use portcullis_table::{Edit, GaveUp, KeyHasher, Seed, Store};

use portcullis_core::time::Nanos;

use crate::abi;
use crate::block_cache::{At, BlockCache};
use crate::cas_predictor::CasPredictor;
use crate::metrics::TableMetrics;
use crate::shared_data::{self, Block};

const SEED: &[u8] = b"portcullis/hash_seed";
/// Stands in shared data where there was no randomness to make a seed of.
const NO_SEED: [u8; 16] = [0; 16];

/// The tables of one plugin instance.
pub struct Tables {
    seed: Seed,
    /// Whether nobody can predict the seed. Else clients could aim at a block, and evict what they want
    /// forgotten: updates then give up.
    is_seeded: bool,
    tables: Vec<Table>,
    /// `None` where the host does not count versions as [`CasPredictor`] expects: blocks cannot be created
    /// exactly there.
    versions: Option<CasPredictor>,
    /// What this worker wrote last, in any of the tables.
    remembered: RefCell<BlockCache>,
}

/// The tables at a time: a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct TablesAt<'a> {
    tables: &'a Tables,
    now: Nanos,
}

struct Table {
    /// The key of a block, with its number in the last four bytes: written anew for each block, so
    /// that none is allocated.
    key: RefCell<Vec<u8>>,
    metrics: TableMetrics,
}

/// What a table is to be.
#[derive(Clone, Copy, Debug)]
pub struct TableSpec {
    /// Tables with the same identity, in instances of the same name, are the same table.
    pub identity: u64,
    /// Where its updates are counted.
    pub metrics: TableMetrics,
}

impl Tables {
    /// Opens the tables of a plugin instance. Call it when configuring.
    ///
    /// If the host refuses, that is logged, and updates give up: what then becomes of a request is
    /// the plugin's decision, and no reason to refuse a configuration.
    pub fn open(plugin: &str, policy: &Name, specs: impl Iterator<Item = TableSpec>) -> Self {
        let seed = shared_data::seeded(SEED, || {
            let mut random = [0; 16];
            match abi::random(&mut random) {
                Ok(()) => random,
                Err(status) => {
                    log::error!("no random seed for tables: random_get: {status:?}");
                    NO_SEED
                }
            }
        });
        let seed = seed.unwrap_or(NO_SEED);
        let is_seeded = seed != NO_SEED;
        let seed = Seed::new(seed);
        let tables: Vec<Table> = specs
            .map(|spec| {
                let prefix = prefix(&seed, plugin, policy, spec.identity);
                Table {
                    key: RefCell::new([prefix.as_bytes(), &[0; size_of::<u32>()]].concat()),
                    metrics: spec.metrics,
                }
            })
            .collect();
        let versions = CasPredictor::open();
        if versions.is_none() && !tables.is_empty() {
            log::error!(
                "{plugin} {policy}: shared data cannot be used: it is refused, or this host gives \
                 versions in another way than Envoy; updates of tables give up"
            );
        }
        Self {
            remembered: RefCell::new(BlockCache::new(tables.len())),
            tables,
            seed,
            is_seeded,
            versions,
        }
    }

    /// The tables as a store, at `now`, in nanoseconds of the steady clock.
    pub fn at(&self, now: Nanos) -> TablesAt<'_> {
        TablesAt { tables: self, now }
    }
}

/// What the keys of a table begin with.
fn prefix(seed: &Seed, plugin: &str, policy: &Name, identity: u64) -> String {
    let mut hasher = KeyHasher::new(seed);
    hasher.part(plugin.as_bytes());
    hasher.part(policy.as_str().as_bytes());
    hasher.part(&identity.to_le_bytes());
    format!("p/{:016x}", hasher.finish().tag())
}

impl Store for TablesAt<'_> {
    fn seed(&self) -> &Seed {
        &self.tables.seed
    }

    fn update<T>(
        &mut self,
        table: usize,
        block: u32,
        edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
    ) -> Result<T, GaveUp> {
        let Tables {
            tables,
            versions,
            remembered,
            is_seeded,
            ..
        } = self.tables;
        let at = At { table, block };
        let table = tables.get(table).ok_or(GaveUp)?;
        if !is_seeded {
            table.metrics.gave_up.increment();
            return Err(GaveUp);
        }
        let mut key = table.key.borrow_mut();
        if let Some(number) = key.last_chunk_mut() {
            *number = block.to_le_bytes();
        }
        let mut remembered = remembered.borrow_mut();
        let now = self.now;
        let changed = match versions {
            Some(versions) if remembered.is_worth_while(at.table) => {
                let block = Block { key: &key, at, now };
                shared_data::change_remembered(block, versions, &mut remembered, edit)
            }
            _ => {
                let foreign = || versions.as_ref()?.latest(now);
                shared_data::change(&key, foreign, edit)
            }
        };
        match changed {
            Ok(changed) => {
                table.metrics.cas_retries.add(changed.retries);
                Ok(changed.outcome)
            }
            Err(GaveUp) => {
                table.metrics.gave_up.increment();
                Err(GaveUp)
            }
        }
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables")
            .field("count", &self.tables.len())
            .finish_non_exhaustive()
    }
}
