//! The configuration of the plugin.

use serde::{Deserialize, Deserializer};

use super::budget::CheckedBudget;
use super::ledger::Ledger;
use portcullis_core::config::{HasTables, Mode, Name, NamedList, OnError};
use portcullis_table::{MaxKeys, MemoryUse};

/// Configuration of the retry-budget plugin.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "retry-budget")
)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Instance name, used in metrics. Instances with the same name share their budgets.
    #[serde(default)]
    pub name: Name,
    /// Enforce the budgets, only count and mark, or do nothing.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Whether requests have retries if the budget cannot be read or written.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// Number of keys that each budget can hold at a time.
    #[serde(default)]
    pub(super) max_keys: MaxKeys<4_096>,
    /// Budgets. The first one that matches a request decides.
    #[serde(deserialize_with = "budgets")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) budgets: Vec<CheckedBudget>,
}

impl HasTables for Config {
    fn max_keys(&self) -> u32 {
        self.max_keys.get()
    }

    fn memory(&self) -> impl Iterator<Item = MemoryUse> {
        let max_keys = self.max_keys.get();
        let budgets = self.budgets.iter().map(|checked| &checked.budget);
        budgets.map(move |budget| MemoryUse::of_table::<Ledger>(budget.blocks(max_keys)))
    }
}

fn budgets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CheckedBudget>, D::Error> {
    BUDGETS.read(deserializer, |checked: &CheckedBudget| &checked.budget.name)
}

const BUDGETS: NamedList = NamedList {
    one: "a budget",
    several: "budgets",
    shown_in: "metrics",
};
