//! Tables in shared data.
//!
//! A block is one value. Its key is `p/`, a hash of plugin, instance and identity in hexadecimal, and the block's
//! number. Instances with the same name and `vm_id` share all tables, on any number of listeners.
//!
//! The first key that needs a block creates it, in any worker: a table takes memory as keys arrive, and opening it costs
//! nothing. [`shared_data`] explains why two workers that create a block at once lose nothing.
//!
//! The key has 22 bytes, the most that a string of libc++ holds without an allocation. With a longer key, such as all
//! names in full, Envoy would allocate memory in each call, and take 64 bytes more for each block.

use std::cell::RefCell;

use portcullis_core::time::Nanos;
use portcullis_host::backend::TableStore;
use portcullis_table::{GaveUp, KeyHasher, Seed};

use crate::block_cache::{BlockCache, BlockId};
use crate::cas_predictor::CasPredictor;
use crate::shared_data::{self, Block};

/// The tables of one plugin instance.
#[derive(Debug)]
pub(crate) struct Tables {
    /// The key of a block of each table, with its number in the last four bytes. Each access overwrites the number, to
    /// avoid an allocation.
    keys: Vec<RefCell<Vec<u8>>>,
    /// `None` if the host does not count versions as [`CasPredictor`] expects. Such a host cannot create a block
    /// exactly once.
    predictor: Option<CasPredictor>,
    cache: RefCell<BlockCache>,
}

impl Tables {
    /// Opens the tables of a plugin instance. If the host refuses, the log says so, and updates give up.
    pub(crate) fn open(plugin: &str, instance: &str, identities: &[u64], seed: &Seed) -> Self {
        let key = |identity: &u64| {
            let prefix = prefix(seed, plugin, instance, *identity);
            RefCell::new([prefix.as_bytes(), &[0; size_of::<u32>()]].concat())
        };
        let predictor = CasPredictor::open();
        if predictor.is_none() && !identities.is_empty() {
            log::error!(
                "portcullis {plugin} \"{instance}\": shared data cannot be used, so updates of tables give up: the \
                 host refuses it, or does not number versions as Envoy does"
            );
        }
        Self {
            keys: identities.iter().map(key).collect(),
            predictor,
            cache: RefCell::new(BlockCache::new(identities.len())),
        }
    }
}

/// The start of the keys of a table.
fn prefix(seed: &Seed, plugin: &str, instance: &str, identity: u64) -> String {
    let mut hasher = KeyHasher::new(seed);
    hasher.part(plugin.as_bytes());
    hasher.part(instance.as_bytes());
    hasher.part(&identity.to_le_bytes());
    format!("p/{:016x}", hasher.finish().tag())
}

impl TableStore for Tables {
    fn update(
        &self,
        table: usize,
        block: u32,
        now: Nanos,
        edit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<u32, GaveUp> {
        let id = BlockId { table, block };
        let mut key = self.keys.get(table).ok_or(GaveUp)?.borrow_mut();
        if let Some(number) = key.last_chunk_mut() {
            *number = block.to_le_bytes();
        }
        let mut cache = self.cache.borrow_mut();
        match &self.predictor {
            Some(predictor) if cache.should_predict(id.table) => {
                let block = Block { key: &key, id, now };
                shared_data::change_cached(block, predictor, &mut cache, edit)
            }
            predictor => {
                let foreign = || predictor.as_ref()?.latest(now);
                shared_data::change(&key, foreign, edit)
            }
        }
    }
}
