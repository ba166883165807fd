//! What is configured.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use super::budget::CheckedBudget;
use super::ledger::Ledger;
use crate::config::{Document, Errors, Mode, Name, OnError};
use crate::table::{MaxKeys, MemoryUse};

/// Configuration of the retry-budget plugin.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "retry-budget")
)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of this instance, in metrics. Instances of one name share their budgets.
    #[serde(default)]
    pub name: Name,
    /// Whether to act, only to count and mark, or to do nothing.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Whether there are retries when the budget cannot be read or written.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// For how many keys at a time each budget has room.
    #[serde(default)]
    pub(super) max_keys: MaxKeys<4_096>,
    /// The budgets. The first that matches decides.
    #[serde(deserialize_with = "budgets")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) budgets: Vec<CheckedBudget>,
}

impl Config {
    /// Reads a configuration, or says everything that is wrong with it.
    pub fn read(document: Document) -> Result<Self, Errors> {
        document.read_checked(|config: &Self| {
            MemoryUse::check(config.max_keys.get(), config.memory())
                .map_err(|message| ("max_keys", message))
        })
    }

    /// What the table of each budget takes at most.
    pub(super) fn memory(&self) -> impl Iterator<Item = MemoryUse> {
        let max_keys = self.max_keys.get();
        let budgets = self.budgets.iter().map(|checked| &checked.budget);
        budgets.map(move |budget| MemoryUse::of_table::<Ledger>(budget.blocks(max_keys)))
    }
}

fn budgets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CheckedBudget>, D::Error> {
    let budgets = Vec::<CheckedBudget>::deserialize(deserializer)?;
    if budgets.is_empty() {
        return Err(de::Error::custom("found an empty array; expected a budget"));
    }
    let mut names = BTreeSet::new();
    let mut all = budgets.iter().map(|checked| &checked.budget);
    match all.find(|budget| !names.insert(&budget.name)) {
        Some(budget) => Err(de::Error::custom(format!(
            "found two budgets named {:?}; expected each name once: it tells them apart in metrics",
            budget.name.as_str()
        ))),
        None => Ok(budgets),
    }
}
