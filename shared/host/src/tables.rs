//! [Tables](portcullis_table) of state that all workers share.
//!
//! The identity of a table is a hash of those parts of the configuration that give the states their meaning. So a new
//! configuration finds the old states if their meaning is the same, and never misreads them. Instances with different
//! names share no table. Instances with the same name share all of them, on any number of listeners.

use std::fmt;

use portcullis_core::config::Name;
use portcullis_core::time::Nanos;
use portcullis_table::{Edit, GaveUp, Seed, Store};

use crate::backend::{TableStore, backend};
use crate::metrics::TableMetrics;

/// The tables of one plugin instance.
pub struct Tables {
    seed: Seed,
    /// Whether the seed is unpredictable. Otherwise clients could aim at a block and evict state that they want
    /// forgotten, so updates give up.
    is_seeded: bool,
    store: Box<dyn TableStore>,
    metrics: Vec<TableMetrics>,
}

/// The tables at a time: a [`Store`].
#[derive(Clone, Copy, Debug)]
pub struct TablesAt<'a> {
    tables: &'a Tables,
    now: Nanos,
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
        let seed = backend().hash_seed();
        if let Err(error) = seed {
            log::error!("portcullis: no random seed for tables: {error}");
        }
        let is_seeded = seed.is_ok();
        let seed = Seed::new(seed.unwrap_or_default());
        let (identities, metrics): (Vec<u64>, Vec<TableMetrics>) =
            specs.map(|spec| (spec.identity, spec.metrics)).unzip();
        let store = backend().open_tables(plugin, instance.as_str(), &identities, &seed);
        Self {
            seed,
            is_seeded,
            store,
            metrics,
        }
    }

    /// The tables as a store, at `now` on the steady clock.
    pub fn at(&self, now: Nanos) -> TablesAt<'_> {
        TablesAt { tables: self, now }
    }
}

impl Store for TablesAt<'_> {
    fn seed(&self) -> &Seed {
        &self.tables.seed
    }

    fn update<T>(
        &mut self,
        table: usize,
        block: u32,
        mut edit: impl FnMut(&mut Vec<u8>) -> Edit<T>,
    ) -> Result<T, GaveUp> {
        let Tables {
            is_seeded,
            store,
            metrics,
            ..
        } = self.tables;
        let metrics = metrics.get(table).ok_or(GaveUp)?;
        let mut last = None;
        let updated = match is_seeded {
            true => store.update(table, block, self.now, &mut |bytes| {
                let Edit { changed, outcome } = edit(bytes);
                last = Some(outcome);
                changed
            }),
            false => Err(GaveUp),
        };
        match updated.and_then(|retries| Ok((retries, last.ok_or(GaveUp)?))) {
            Ok((retries, outcome)) => {
                metrics.cas_retries.add(retries);
                Ok(outcome)
            }
            Err(GaveUp) => {
                metrics.gave_up.increment();
                Err(GaveUp)
            }
        }
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables")
            .field("count", &self.metrics.len())
            .finish_non_exhaustive()
    }
}
