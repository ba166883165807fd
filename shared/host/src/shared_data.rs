//! Values that all workers share, changed one after the other.
//!
//! proxy-wasm's shared data is a map in the proxy's memory, under one lock, with a name space for
//! each `vm_id`. It has compare-and-swap, but nothing to create a key only if it is absent: a swap on
//! an absent key always succeeds, and a swap with version 0 always overwrites. Nothing is ever
//! deleted.
//!
//! # How a key is created exactly once
//!
//! To create a key, a worker swaps it with a **foreign version**: one that this key cannot have.
//!
//! - If the key is still absent, the swap succeeds, whatever the version.
//! - If another worker has created it in the meantime, the key has a version of its own, the foreign
//!   one does not match, and the swap fails. The worker reads the key and starts again.
//!
//! The host decides between the two under its lock, so of any number of workers that create the same
//! key at once exactly one succeeds, and no value is overwritten that its worker has not read. There
//! is no lock and no claim that a worker could leave behind when it dies.
//!
//! Which version is foreign? The host takes the versions of all keys from one counter. A version is
//! foreign to a key if
//!
//! 1. it was given to another key: no version is given twice; or
//! 2. it was given to any key before this one was found absent: the version of a key that was
//!    created after that is a later one.
//!
//! [`CasPredictor::latest`] returns one or the other. A version that a worker has just
//! [asked for](crate::cas_predictor) is that of the probe, which is another key (1). One that it
//! remembers was given before the current update began, and so before the update found the key
//! absent (2).
//!
//! Both hold until the counter, which has 32 bits, comes round between the giving of the version and
//! the swap. `CasPredictor` lets go of what it knows after seconds, in which no machine writes four billion
//! values under one lock.
//!
//! Only an absent key takes that path. A key that exists costs a read and a swap, as ever.

use portcullis_core::config::Name;
use portcullis_table::{Edit, GaveUp};

use portcullis_core::time::Nanos;

use crate::abi::{self, Status};
use crate::block_cache::{At, BlockCache};
use crate::cas_predictor::{self, CasPredictor};
use crate::throttle::warn_once;

/// How often a change is tried. Each attempt fails only because some other worker succeeded, so as
/// many failures in a row mean that something is broken, not that there is much to do.
const ATTEMPTS: u32 = 100;

/// The value of a key, which gets this one if it has none. `None` when the host refuses, or when
/// the value has another length.
pub(crate) fn seeded<const N: usize>(
    key: &[u8],
    value: impl FnOnce() -> [u8; N],
) -> Option<[u8; N]> {
    if read(key).ok()?.version.is_none() {
        create(key, &value()).ok()?;
    }
    read(key).ok()?.value.try_into().ok()
}

/// Creates a key that was found absent; another worker may have created it since.
fn create(key: &[u8], value: &[u8]) -> Result<(), Status> {
    let created =
        cas_predictor::foreign().and_then(|version| abi::set_shared_data(key, value, version));
    match created {
        Ok(()) | Err(Status::CasMismatch) => Ok(()),
        Err(status) => {
            warn_once("proxy_set_shared_data", status);
            Err(status)
        }
    }
}

/// A change that was stored.
pub(crate) struct Changed<T> {
    /// What the closure returned, the time that counts.
    pub(crate) outcome: T,
    /// How often another worker came first.
    pub(crate) retries: u32,
}

/// A value as it was read.
struct Read {
    value: Vec<u8>,
    /// `None` for a key that does not exist.
    version: Option<u32>,
}

fn read(key: &[u8]) -> Result<Read, GaveUp> {
    match abi::shared_data(key) {
        Ok((value, version)) => Ok(Read {
            value,
            version: Some(version),
        }),
        Err(Status::NotFound) => Ok(Read {
            value: Vec::new(),
            version: None,
        }),
        Err(status) => {
            warn_once("proxy_get_shared_data", status);
            Err(GaveUp)
        }
    }
}

/// Lets `edit` change the value of a key, as if no other worker existed: when one came first, `edit`
/// gets the new value and starts again. A key that does not exist is created with `foreign`, which
/// returns a version that is foreign to it, or gives up.
pub(crate) fn change<T>(
    key: &[u8],
    foreign: impl Fn() -> Option<u32>,
    mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
) -> Result<Changed<T>, GaveUp> {
    for retries in 0..ATTEMPTS {
        let Read { mut value, version } = read(key)?;
        let Edit { changed, outcome } = edit(&mut value);
        if !changed || swap(key, &value, version.or_else(&foreign))? {
            return Ok(Changed { outcome, retries });
        }
    }
    Err(GaveUp)
}

/// Stores a value, if the one that is there has this version, or if there is none.
fn swap(key: &[u8], value: &[u8], version: Option<u32>) -> Result<bool, GaveUp> {
    match abi::set_shared_data(key, value, version.ok_or(GaveUp)?) {
        Ok(()) => Ok(true),
        Err(Status::CasMismatch) => Ok(false),
        Err(status) => {
            warn_once("proxy_set_shared_data", status);
            Err(GaveUp)
        }
    }
}

/// A block of a table, and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) at: At,
    pub(crate) now: Nanos,
}

/// The same as [`change`] for a block that this worker may remember. Then it is not read: it is
/// written with the [version](crate::cas_predictor) that it should have, even where nothing has changed,
/// because only that shows whether it is still as cached.
pub(crate) fn change_remembered<T>(
    block: Block<'_>,
    predictor: &CasPredictor,
    cache: &mut BlockCache,
    mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
) -> Result<Changed<T>, GaveUp> {
    let Block { key, at, now } = block;
    let mut latest = None;
    if let Some((mut value, version)) = cache.take(at, now) {
        let outcome = edit(&mut value).outcome;
        latest = predictor.latest(now);
        if swap(key, &value, Some(version))? {
            cache.was_right(at.table);
            remember(block, predictor, cache, value, latest);
            return Ok(Changed {
                outcome,
                retries: 0,
            });
        }
        cache.was_wrong(at.table);
        predictor.doubt();
    }
    for retries in 0..ATTEMPTS {
        let Read { mut value, version } = read(key)?;
        let Edit { changed, outcome } = edit(&mut value);
        if !changed {
            if let Some(version) = version {
                cache.put(at, value, version, now);
            }
            return Ok(Changed { outcome, retries });
        }
        // An older one will do, too: to guess from, and to create the key.
        latest = latest.or_else(|| predictor.latest(now));
        if swap(key, &value, version.or(latest))? {
            remember(block, predictor, cache, value, latest);
            return Ok(Changed { outcome, retries });
        }
    }
    Err(GaveUp)
}

/// Remembers a value that was stored just now, when `latest` was given already.
fn remember(
    block: Block<'_>,
    predictor: &CasPredictor,
    cache: &mut BlockCache,
    value: Vec<u8>,
    latest: Option<u32>,
) {
    let Some(latest) = latest else {
        return;
    };
    let version = cas_predictor::next(latest);
    predictor.note(version);
    cache.put(block.at, value, version, block.now);
}

/// One value that all workers share, empty at first: for state that is not kept by key, which has
/// [`Tables`](crate::Tables).
#[derive(Debug)]
pub struct SharedValue {
    key: String,
}

impl SharedValue {
    /// Opens the value of this name, and creates it if it is not there. Call it when configuring.
    ///
    /// If the host refuses, that is logged, and updates give up.
    pub fn open(plugin: &str, policy: &Name, name: &str) -> Self {
        let key = format!("portcullis/{plugin}/{policy}/{name}");
        let created = match abi::shared_data(key.as_bytes()) {
            Err(Status::NotFound) => create(key.as_bytes(), &[]),
            found => found.map(|_| ()),
        };
        if let Err(status) = created {
            log::error!("shared value {key} cannot be created: {status:?}");
        }
        Self { key }
    }

    /// The value now.
    pub fn read(&self) -> Result<Vec<u8>, GaveUp> {
        Ok(read(self.key.as_bytes())?.value)
    }

    /// Lets `edit` change the value, as if no other worker existed: when one came first, `edit` gets
    /// the new value and starts again. Only its last call counts.
    pub fn update<T>(&self, edit: impl FnMut(&mut Vec<u8>) -> Edit<T>) -> Result<T, GaveUp> {
        let foreign = || cas_predictor::foreign().ok();
        Ok(change(self.key.as_bytes(), foreign, edit)?.outcome)
    }
}
