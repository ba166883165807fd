//! Configurations with tables, whose total memory is bounded.

use portcullis_table::MemoryUse;
use serde::de::DeserializeOwned;

use super::{Document, Errors};

/// A configuration that creates tables.
pub trait HasTables: DeserializeOwned {
    /// The number of keys that each table has room for: the field `max_keys`.
    fn max_keys(&self) -> u32;

    /// The maximum memory of each table.
    fn memory(&self) -> impl Iterator<Item = MemoryUse>;

    /// Checks what concerns several parts of the configuration. An error is the path of the value at fault, such as
    /// `limits[0].name`, and a message.
    fn check(&self) -> Result<(), (String, String)> {
        Ok(())
    }

    /// The maximum memory of all tables together.
    fn total_memory(&self) -> MemoryUse {
        self.memory().sum()
    }

    /// Reads a configuration, or reports every error in it, including tables that may take more than
    /// [`MemoryUse::MAX`] together.
    fn read_with_tables(document: Document) -> Result<Self, Errors> {
        document.read_checked(|config: &Self| {
            config.check()?;
            MemoryUse::check(config.max_keys(), config.memory())
                .map_err(|message| ("max_keys".to_owned(), message))
        })
    }
}
