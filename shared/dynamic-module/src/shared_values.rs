//! Values that all workers share, such as the documents that one worker has fetched for all.
//!
//! A value belongs to the process, like a [table](crate::tables), and is never freed: the names come from
//! configurations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;

static VALUES: Mutex<BTreeMap<String, Arc<SharedBytes>>> = Mutex::new(BTreeMap::new());

/// Bytes that all workers share.
#[derive(Debug, Default)]
pub struct SharedBytes {
    /// It grows under the lock, together with the change.
    version: AtomicU64,
    bytes: Mutex<Vec<u8>>,
}

impl SharedBytes {
    /// The value with this key. The first call creates it, empty.
    pub fn open(key: &str) -> Arc<Self> {
        let mut values = lock(&VALUES);
        if let Some(value) = values.get(key) {
            return Arc::clone(value);
        }
        let value = Arc::<Self>::default();
        values.insert(key.to_owned(), Arc::clone(&value));
        value
    }

    /// A number that grows with every change. A reader that has seen this version need not read again.
    ///
    /// Ask for the version before reading: the bytes are then at least as new as the version. The other way round, the
    /// reader would miss a change in between.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// A copy of the bytes.
    pub fn read(&self) -> Vec<u8> {
        self.lock().clone()
    }

    /// Changes the bytes atomically.
    ///
    /// `edit` gets a copy of the bytes, and returns whether it changed them. If it did not, or if it panics, the value
    /// is as before. It must not use this value: it would wait for its own lock.
    pub fn update(&self, edit: &mut dyn FnMut(&mut Vec<u8>) -> bool) {
        let mut bytes = self.lock();
        let mut new = bytes.clone();
        if edit(&mut new) {
            *bytes = new;
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// A panic within an edit leaves the bytes as they were, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.bytes)
    }
}
