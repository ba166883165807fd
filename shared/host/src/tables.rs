//! [Tables](portcullis_policy::table) of state in shared data.
//!
//! A block is one value. Its key is `p/`, a hash of plugin, policy and identity in hexadecimal, and the
//! block's number. The identity is a hash of the configuration that gives the states their meaning,
//! so that a new configuration finds the old states where they mean the same, and never misreads
//! them. The tables of instances with different names have nothing in common; those of the same name
//! and `vm_id` are the same tables, on however many listeners.
//!
//! The key has 22 bytes because that is what a string of libc++ holds in place. For a longer one, with
//! all names in clear, Envoy would allocate memory in each call, and 64 bytes more for each block.

use std::cell::RefCell;
use std::fmt;

use portcullis_policy::config::Name;
use portcullis_policy::table::{Edit, GaveUp, KeyHasher, Seed, Store};

use crate::abi::{self, Status};
use crate::metrics::Counter;
use crate::remembered::Remembered;
use crate::shared_data::{self, Block};
use crate::versions::Versions;

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
    /// `None` where versions cannot be guessed.
    versions: Option<Versions>,
}

/// The tables at a time: a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct TablesAt<'a> {
    tables: &'a Tables,
    now: u64,
}

struct Table {
    /// The key of a block, with its number in the last four bytes: written anew for each block, so
    /// that none is allocated.
    key: RefCell<Vec<u8>>,
    remembered: RefCell<Remembered>,
    retries: Counter,
    gave_up: Counter,
}

/// What a table is to be.
#[derive(Clone, Copy, Debug)]
pub struct TableSpec {
    /// Tables with the same identity, in instances of the same name, are the same table.
    pub identity: u64,
    /// How many blocks it has.
    pub blocks: u32,
    /// Counts the updates that another worker made start again.
    pub retries: Counter,
    /// Counts the updates that were given up.
    pub gave_up: Counter,
}

impl Tables {
    /// Opens the tables of a plugin instance, and creates their blocks if they are not there. Call it
    /// when configuring.
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
        let tables = specs.map(|spec| {
            let prefix = prefix(&seed, plugin, policy, spec.identity);
            if let Err(status) = create_blocks(prefix.as_bytes(), spec.blocks) {
                log::error!("a table of {plugin} {policy} cannot be created: {status:?}");
            }
            Table {
                key: RefCell::new(block_key(prefix.as_bytes(), 0)),
                remembered: RefCell::default(),
                retries: spec.retries,
                gave_up: spec.gave_up,
            }
        });
        Self {
            tables: tables.collect(),
            seed,
            is_seeded,
            versions: Versions::open(),
        }
    }

    /// The tables as a store, at `now`, in nanoseconds of the steady clock.
    pub fn at(&self, now: u64) -> TablesAt<'_> {
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

/// Creates empty blocks. The mark that they are all there comes last, so that a worker, which is
/// configured after the main thread, has one look-up to make.
fn create_blocks(prefix: &[u8], blocks: u32) -> Result<(), Status> {
    match abi::shared_data(prefix) {
        Err(Status::NotFound) => {}
        found => return found.map(|_| ()),
    }
    for block in 0..blocks {
        abi::set_shared_data(&block_key(prefix, block), &[], 0)?;
    }
    abi::set_shared_data(prefix, &blocks.to_le_bytes(), 0)
}

fn block_key(prefix: &[u8], block: u32) -> Vec<u8> {
    [prefix, &block.to_le_bytes()].concat()
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
        let table = self.tables.tables.get(table).ok_or(GaveUp)?;
        if !self.tables.is_seeded {
            table.gave_up.increment();
            return Err(GaveUp);
        }
        let mut key = table.key.borrow_mut();
        if let Some(number) = key.last_chunk_mut() {
            *number = block.to_le_bytes();
        }
        let mut remembered = table.remembered.borrow_mut();
        let versions = self.tables.versions.as_ref();
        let changed = match versions.filter(|_| remembered.is_worth_while()) {
            None => shared_data::change(&key, edit),
            Some(versions) => {
                let block = Block {
                    key: &key,
                    number: block,
                    now: self.now,
                };
                shared_data::change_remembered(block, versions, &mut remembered, edit)
            }
        };
        match changed {
            Ok(changed) => {
                table.retries.add(changed.retries);
                Ok(changed.outcome)
            }
            Err(GaveUp) => {
                table.gave_up.increment();
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
