//! Configurations with tables, which together have a bound.

use portcullis_table::MemoryUse;
use serde::de::DeserializeOwned;

use super::{Document, Errors};

/// A configuration with tables.
pub trait HasTables: DeserializeOwned {
    /// For how many keys each table has room, its field `max_keys`.
    fn max_keys(&self) -> u32;

    /// What each table takes at most.
    fn memory(&self) -> impl Iterator<Item = MemoryUse>;

    /// What all tables take at most.
    fn total_memory(&self) -> MemoryUse {
        self.memory().sum()
    }

    /// Reads a configuration, or says everything that is wrong with it: also that its tables together may
    /// take more than [`MemoryUse::MAX`].
    fn read_with_tables(document: Document) -> Result<Self, Errors> {
        document.read_checked(|config: &Self| {
            MemoryUse::check(config.max_keys(), config.memory())
                .map_err(|message| ("max_keys", message))
        })
    }
}
