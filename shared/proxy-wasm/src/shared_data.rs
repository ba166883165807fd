//! Values that all workers share, changed by compare-and-swap.
//!
//! proxy-wasm's shared data is a map in the proxy's memory, under one lock, with a namespace for each `vm_id`. It has
//! compare-and-swap, but no operation that creates a key only if it is absent: a swap on an absent key always succeeds,
//! and a swap with version 0 always overwrites. Nothing is ever deleted.
//!
//! # How a key is created exactly once
//!
//! To create a key, a worker swaps it with a **foreign version**: one that this key cannot have.
//!
//! - If the key is still absent, the swap succeeds, whatever the version.
//! - If another worker has created the key in the meantime, the key has a version of its own, which differs from the
//!   foreign one, and the swap fails. The worker reads the key and starts again.
//!
//! The host decides between the two under its lock. So of any number of workers that create the same key at once
//! exactly one succeeds, and no worker overwrites a value that it has not read. There is no lock and no claim that a
//! dying worker could leave behind.
//!
//! Which version is foreign? The host takes the versions of all keys from one counter. A version is foreign to a key if
//!
//! 1. another key has got it: no version is given twice; or
//! 2. any key has got it before this key was found absent: a key that is created later gets a later version.
//!
//! [`CasPredictor::latest`] returns one or the other. If it has just [checked](crate::cas_predictor), the version is
//! that of the probe, which is another key (1). A version that it remembers was given before the current update began,
//! and so before the update found the key absent (2).
//!
//! Both hold unless the counter, which has 32 bits, wraps around between the moment at which the version is given and
//! the swap. `CasPredictor` drops its knowledge after seconds, in which no machine writes four billion values under one
//! lock.
//!
//! Only an absent key takes this path. A key that exists costs a read and a swap, as usual.

use portcullis_core::time::Nanos;
use portcullis_host::backend::ValueStore;
use portcullis_host::{Error, Status, warn_once};
use portcullis_table::GaveUp;

use crate::abi;
use crate::block_cache::{BlockCache, BlockId};
use crate::cas_predictor::{self, CasPredictor};

const GET: &str = "proxy_get_shared_data";
const SET: &str = "proxy_set_shared_data";

/// The attempts to make a change. An attempt fails only because another worker succeeded, so this many failures in a
/// row mean that something is broken, not that the load is high.
const ATTEMPTS: u32 = 100;

/// Reads the value of a key, after creating it with this value if it is absent. `None` if the host refuses, or if the
/// value has another length.
pub(crate) fn seeded<const N: usize>(
    key: &[u8],
    value: impl FnOnce() -> [u8; N],
) -> Option<[u8; N]> {
    if read(key).ok()?.version.is_none() {
        create(key, &value()).ok()?;
    }
    read(key).ok()?.value.try_into().ok()
}

/// Creates a key that was found absent. Another worker may have created it since.
fn create(key: &[u8], value: &[u8]) -> Result<(), Status> {
    let created =
        cas_predictor::foreign().and_then(|version| abi::set_shared_data(key, value, version));
    match created {
        Ok(()) | Err(Status::CasMismatch) => Ok(()),
        Err(status) => {
            warn_once(Error::of(SET)(status));
            Err(status)
        }
    }
}

/// A value with its version.
struct Versioned {
    value: Vec<u8>,
    /// `None` for a key that does not exist.
    version: Option<u32>,
}

fn read(key: &[u8]) -> Result<Versioned, GaveUp> {
    match abi::shared_data(key) {
        Ok((value, version)) => Ok(Versioned {
            value,
            version: Some(version),
        }),
        Err(Status::NotFound) => Ok(Versioned {
            value: Vec::new(),
            version: None,
        }),
        Err(status) => {
            warn_once(Error::of(GET)(status));
            Err(GaveUp)
        }
    }
}

/// Changes the value of a key with `edit`, as if no other worker existed: if another worker writes first, `edit` gets
/// the new value and starts again. To create an absent key, it needs a version from `foreign`, and gives up if there is
/// none. Returns how often another worker wrote first.
pub(crate) fn change(
    key: &[u8],
    foreign: impl Fn() -> Option<u32>,
    edit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
) -> Result<u32, GaveUp> {
    for retries in 0..ATTEMPTS {
        let Versioned { mut value, version } = read(key)?;
        if !edit(&mut value) || swap(key, &value, version.or_else(&foreign))? {
            return Ok(retries);
        }
    }
    Err(GaveUp)
}

/// Stores a value, if the present one has this version or the key is absent. False if another worker wrote first.
fn swap(key: &[u8], value: &[u8], version: Option<u32>) -> Result<bool, GaveUp> {
    match abi::set_shared_data(key, value, version.ok_or(GaveUp)?) {
        Ok(()) => Ok(true),
        Err(Status::CasMismatch) => Ok(false),
        Err(status) => {
            warn_once(Error::of(SET)(status));
            Err(GaveUp)
        }
    }
}

/// A block to change, and the current time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) id: BlockId,
    pub(crate) now: Nanos,
}

/// The same as [`change`] for a block that may be in the cache. If it is, it is not read, but written with its
/// [predicted version](crate::cas_predictor). This write happens even if `edit` changed nothing, because only a write
/// shows whether the cached block is current.
pub(crate) fn change_cached(
    block: Block<'_>,
    predictor: &CasPredictor,
    cache: &mut BlockCache,
    edit: &mut dyn FnMut(&mut Vec<u8>) -> bool,
) -> Result<u32, GaveUp> {
    let Block { key, id, now } = block;
    let mut latest = None;
    if let Some((mut value, version)) = cache.take(id, now) {
        edit(&mut value);
        latest = predictor.latest(now);
        if swap(key, &value, Some(version))? {
            cache.record_hit(id.table);
            cache_written(block, predictor, cache, value, latest);
            return Ok(0);
        }
        cache.record_miss(id.table);
        predictor.record_foreign_write();
    }
    for retries in 0..ATTEMPTS {
        let Versioned { mut value, version } = read(key)?;
        if !edit(&mut value) {
            if let Some(version) = version {
                cache.insert(id, value, version, now);
            }
            return Ok(retries);
        }
        // The version from before the failed swap is good enough to predict from and to create the key.
        latest = latest.or_else(|| predictor.latest(now));
        if swap(key, &value, version.or(latest))? {
            cache_written(block, predictor, cache, value, latest);
            return Ok(retries);
        }
    }
    Err(GaveUp)
}

/// Caches a value that was just stored. `latest` is a version that was given before.
fn cache_written(
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
    predictor.record_write(version);
    cache.insert(block.id, value, version, block.now);
}

/// The value of one key, initially empty.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    key: Vec<u8>,
}

impl SharedBytes {
    /// Opens the value, and creates it if it is absent. If the host refuses, the log says so, and updates give up.
    pub(crate) fn open(key: &str) -> Self {
        let created = match abi::shared_data(key.as_bytes()) {
            Err(Status::NotFound) => create(key.as_bytes(), &[]),
            found => found.map(|_| ()),
        };
        if let Err(status) = created {
            log::error!("shared value {key} cannot be created: {status:?}");
        }
        Self {
            key: key.as_bytes().to_vec(),
        }
    }
}

impl ValueStore for SharedBytes {
    fn read(&self) -> Result<Vec<u8>, GaveUp> {
        Ok(read(&self.key)?.value)
    }

    fn update(&self, edit: &mut dyn FnMut(&mut Vec<u8>) -> bool) -> Result<(), GaveUp> {
        let foreign = || cas_predictor::foreign().ok();
        change(&self.key, foreign, edit).map(|_| ())
    }
}
