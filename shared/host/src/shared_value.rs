//! Values that all workers share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use portcullis_core::config::Name;
use portcullis_table::{Edit, GaveUp};

use crate::backend::{ValueStore, backend};

/// One value that all workers share, initially empty. State by key belongs in [`Tables`](crate::Tables) instead.
#[derive(Debug)]
pub struct SharedValue {
    key: Rc<str>,
    store: Box<dyn ValueStore>,
}

impl SharedValue {
    /// Opens the value of this name, and creates it if it is absent. Call it when configuring.
    ///
    /// If the host refuses, the log says so, and updates give up.
    pub fn open(plugin: &str, instance: &Name, name: &str) -> Self {
        let key = format!("portcullis/{plugin}/{instance}/{name}");
        Self {
            store: backend().open_value(&key),
            key: key.into(),
        }
    }

    /// The key, which no other value has.
    pub(crate) fn key(&self) -> &Rc<str> {
        &self.key
    }

    /// A topic for [`Worker::ask_caller`](crate::Worker::ask_caller) that no other value has.
    pub fn topic(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.key.hash(&mut hasher);
        hasher.finish()
    }

    /// Reads the value.
    pub fn read(&self) -> Result<Vec<u8>, GaveUp> {
        self.store.read()
    }

    /// Changes the value with `edit`, as if no other worker existed: if another worker writes first, `edit` gets the
    /// new value and starts again. Only its last call counts.
    pub fn update<T>(&self, mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>) -> Result<T, GaveUp> {
        let mut last = None;
        self.store.update(&mut |bytes| {
            let Edit { changed, outcome } = edit(bytes);
            last = Some(outcome);
            changed
        })?;
        last.ok_or(GaveUp)
    }
}
