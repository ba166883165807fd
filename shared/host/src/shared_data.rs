//! Values that all workers share, changed one after the other.
//!
//! proxy-wasm's shared data is a map in the proxy's memory, under one lock, with a name space for
//! each `vm_id`. It has compare-and-swap, but with two holes: a swap on an absent key always
//! succeeds, and a swap with version 0 always overwrites. So every key is created before there are
//! requests, and a swap then always meets a value and a version. That is safe because Envoy
//! configures a plugin in its main thread first, and in the workers after that.

use portcullis_policy::config::Name;
use portcullis_policy::table::{Edit, GaveUp};

use crate::abi::{self, Status};
use crate::remembered::Remembered;
use crate::throttle::warn_once;
use crate::versions::{self, Versions};

/// How often a change is tried. Each attempt fails only because some other worker succeeded, so as
/// many failures in a row mean that something is broken, not that there is much to do.
const ATTEMPTS: u32 = 100;

/// The value of a key, which gets this one if it has none. `None` when the host refuses, or when
/// the value has another length.
pub(crate) fn seeded<const N: usize>(
    key: &[u8],
    value: impl FnOnce() -> [u8; N],
) -> Option<[u8; N]> {
    match abi::shared_data(key) {
        Ok((value, _)) => value.try_into().ok(),
        Err(Status::NotFound) => {
            let value = value();
            let set = abi::set_shared_data(key, &value, 0);
            set.map_err(|status| warn_once("proxy_set_shared_data", status))
                .ok()?;
            Some(value)
        }
        Err(status) => {
            warn_once("proxy_get_shared_data", status);
            None
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

/// Lets `edit` change the value of a key, as if no other worker existed: when one came first, `edit`
/// gets the new value and starts again.
pub(crate) fn change<T>(
    key: &[u8],
    mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
) -> Result<Changed<T>, GaveUp> {
    for retries in 0..ATTEMPTS {
        let (mut value, version) = abi::shared_data(key).map_err(unreadable)?;
        let Edit { changed, outcome } = edit(&mut value);
        if !changed || swap(key, &value, version)? {
            return Ok(Changed { outcome, retries });
        }
    }
    Err(GaveUp)
}

/// Stores a value, if the one that is there has this version.
fn swap(key: &[u8], value: &[u8], version: u32) -> Result<bool, GaveUp> {
    match abi::set_shared_data(key, value, version) {
        Ok(()) => Ok(true),
        Err(Status::CasMismatch) => Ok(false),
        Err(status) => {
            warn_once("proxy_set_shared_data", status);
            Err(GaveUp)
        }
    }
}

fn unreadable(status: Status) -> GaveUp {
    if status != Status::NotFound {
        warn_once("proxy_get_shared_data", status);
    }
    GaveUp
}

/// A block of a table, and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) number: u32,
    pub(crate) now: u64,
}

/// The same as [`change`] for a block that this worker may remember. Then it is not read: it is
/// written with the [version](crate::versions) that it should have, even where nothing has changed,
/// because only that tells whether it is still as remembered.
pub(crate) fn change_remembered<T>(
    block: Block<'_>,
    versions: &Versions,
    remembered: &mut Remembered,
    mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
) -> Result<Changed<T>, GaveUp> {
    let Block { key, number, now } = block;
    let mut latest = None;
    if let Some((mut value, version)) = remembered.take(number, now) {
        let outcome = edit(&mut value).outcome;
        latest = versions.latest(now);
        if swap(key, &value, version)? {
            remembered.was_right();
            remember(block, versions, remembered, value, latest);
            return Ok(Changed {
                outcome,
                retries: 0,
            });
        }
        remembered.was_wrong();
        versions.doubt();
    }
    for retries in 0..ATTEMPTS {
        let (mut value, version) = abi::shared_data(key).map_err(unreadable)?;
        let Edit { changed, outcome } = edit(&mut value);
        if !changed {
            remembered.put(number, value, version, now);
            return Ok(Changed { outcome, retries });
        }
        // An older one will do, too.
        latest = latest.or_else(|| versions.latest(now));
        if swap(key, &value, version)? {
            remember(block, versions, remembered, value, latest);
            return Ok(Changed { outcome, retries });
        }
    }
    Err(GaveUp)
}

/// Remembers a value that was stored just now, when `latest` was given already.
fn remember(
    block: Block<'_>,
    versions: &Versions,
    remembered: &mut Remembered,
    value: Vec<u8>,
    latest: Option<u32>,
) {
    let Some(latest) = latest else {
        return;
    };
    let version = versions::next(latest);
    versions.note(version);
    remembered.put(block.number, value, version, block.now);
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
            Err(Status::NotFound) => abi::set_shared_data(key.as_bytes(), &[], 0),
            found => found.map(|_| ()),
        };
        if let Err(status) = created {
            log::error!("shared value {key} cannot be created: {status:?}");
        }
        Self { key }
    }

    /// The value now.
    pub fn read(&self) -> Result<Vec<u8>, GaveUp> {
        let (value, _) = abi::shared_data(self.key.as_bytes()).map_err(unreadable)?;
        Ok(value)
    }

    /// Lets `edit` change the value, as if no other worker existed: when one came first, `edit` gets
    /// the new value and starts again. Only its last call counts.
    pub fn update<T>(&self, edit: impl FnMut(&mut Vec<u8>) -> Edit<T>) -> Result<T, GaveUp> {
        Ok(change(self.key.as_bytes(), edit)?.outcome)
    }
}
