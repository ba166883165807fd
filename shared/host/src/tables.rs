//! [Tables](portcullis_table) of state in shared data.
//!
//! A block is one value. Its key is `p/`, a hash of plugin, instance and identity in hexadecimal, and the block's
//! number. The identity is a hash of those parts of the configuration that give the states their meaning. So a new
//! configuration finds the old states if their meaning is the same, and never misreads them. Instances with different
//! names share no table. Instances with the same name and `vm_id` share all of them, on any number of listeners.
//!
//! The first key that needs a block creates it, in any worker: a table takes memory as keys arrive, and opening it costs
//! nothing. [`shared_data`] explains why two workers that create a block at once lose nothing.
//!
//! The key has 22 bytes, the most that a string of libc++ holds without an allocation. With a longer key, such as all
//! names in full, Envoy would allocate memory in each call, and take 64 bytes more for each block.

use std::cell::RefCell;
use std::fmt;

use portcullis_core::config::Name;
use portcullis_core::time::Nanos;
use portcullis_table::{Edit, GaveUp, KeyHasher, Seed, Store};

use crate::abi;
use crate::block_cache::{BlockCache, BlockId};
use crate::cas_predictor::CasPredictor;
use crate::metrics::TableMetrics;
use crate::shared_data::{self, Block};

const SEED: &[u8] = b"portcullis/hash_seed";
/// The stored seed if the host provided no random bytes.
const NO_SEED: [u8; 16] = [0; 16];

/// The tables of one plugin instance.
pub struct Tables {
    seed: Seed,
    /// Whether the seed is unpredictable. Otherwise clients could aim at a block and evict state that they want
    /// forgotten, so updates give up.
    is_seeded: bool,
    tables: Vec<Table>,
    /// `None` if the host does not count versions as [`CasPredictor`] expects. Such a host cannot create a block
    /// exactly once.
    predictor: Option<CasPredictor>,
    cache: RefCell<BlockCache>,
}

/// The tables at a time: a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct TablesAt<'a> {
    tables: &'a Tables,
    now: Nanos,
}

struct Table {
    /// The key of a block, with its number in the last four bytes. Each access overwrites the number, to avoid an
    /// allocation.
    key: RefCell<Vec<u8>>,
    metrics: TableMetrics,
}

/// The description of a table to open.
#[derive(Clone, Copy, Debug)]
pub struct TableSpec {
    /// Tables with the same identity, in instances of the same name, are the same table.
    pub identity: u64,
    /// The counters of its updates.
    pub metrics: TableMetrics,
}

impl Tables {
    /// Opens the tables of a plugin instance. Call it when configuring.
    ///
    /// If the host refuses, the log says so, and updates give up. That is no reason to refuse a configuration: the
    /// plugin decides how a request then goes on.
    pub fn open(plugin: &str, instance: &Name, specs: impl Iterator<Item = TableSpec>) -> Self {
        let seed = shared_data::seeded(SEED, || {
            let mut random = [0; 16];
            match abi::random(&mut random) {
                Ok(()) => random,
                Err(status) => {
                    log::error!("portcullis: no random seed for tables: random_get: {status:?}");
                    NO_SEED
                }
            }
        });
        let seed = seed.unwrap_or(NO_SEED);
        let is_seeded = seed != NO_SEED;
        let seed = Seed::new(seed);
        let tables: Vec<Table> = specs
            .map(|spec| {
                let prefix = prefix(&seed, plugin, instance, spec.identity);
                Table {
                    key: RefCell::new([prefix.as_bytes(), &[0; size_of::<u32>()]].concat()),
                    metrics: spec.metrics,
                }
            })
            .collect();
        let predictor = CasPredictor::open();
        if predictor.is_none() && !tables.is_empty() {
            log::error!(
                "portcullis {plugin} \"{instance}\": shared data cannot be used, so updates of tables give up: the \
                 host refuses it, or does not number versions as Envoy does"
            );
        }
        Self {
            cache: RefCell::new(BlockCache::new(tables.len())),
            tables,
            seed,
            is_seeded,
            predictor,
        }
    }

    /// The tables as a store, at `now` on the steady clock.
    pub fn at(&self, now: Nanos) -> TablesAt<'_> {
        TablesAt { tables: self, now }
    }
}

/// The start of the keys of a table.
fn prefix(seed: &Seed, plugin: &str, instance: &Name, identity: u64) -> String {
    let mut hasher = KeyHasher::new(seed);
    hasher.part(plugin.as_bytes());
    hasher.part(instance.as_str().as_bytes());
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
            predictor,
            cache,
            is_seeded,
            ..
        } = self.tables;
        let id = BlockId { table, block };
        let table = tables.get(table).ok_or(GaveUp)?;
        if !is_seeded {
            table.metrics.gave_up.increment();
            return Err(GaveUp);
        }
        let mut key = table.key.borrow_mut();
        if let Some(number) = key.last_chunk_mut() {
            *number = block.to_le_bytes();
        }
        let mut cache = cache.borrow_mut();
        let now = self.now;
        let changed = match predictor {
            Some(predictor) if cache.should_predict(id.table) => {
                let block = Block { key: &key, id, now };
                shared_data::change_cached(block, predictor, &mut cache, edit)
            }
            _ => {
                let foreign = || predictor.as_ref()?.latest(now);
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
