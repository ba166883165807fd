//! A snapshot of Envoy's statistics.
//!
//! Envoy's threads share counters and gauges, so these are current. But a filter's `on_log` runs after the client has
//! its response: for counters from there, use [`crate::envoy::Envoy::wait_for_stat`]. Envoy merges histograms every 5
//! seconds; only the Prometheus format has them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Envoy's prefixes of plugins' metrics: of wasm modules, and of dynamic modules.
const PLUGIN_PREFIXES: [&str; 2] = ["wasmcustom.", "dynamicmodulescustom."];

/// A pattern for the whole name of a metric, a plugin's or Envoy's.
pub(crate) fn pattern(name: &str) -> String {
    format!("^(wasmcustom\\.|dynamicmodulescustom\\.)?{name}$")
}

/// All counters and gauges by name. A plugin's metric has the name that the plugin gave it, without Envoy's prefix for
/// its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// The value of a counter or gauge; `None` if Envoy has none with this name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Those whose names have this prefix, in the order of their names.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, u64)> {
        self.0
            .range(prefix.to_owned()..)
            .map(|(name, value)| (name.as_str(), *value))
            .take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// Reads `/stats?format=json`, without text readouts and histograms.
    pub(crate) fn parse(json: &str) -> Self {
        let stats: Value = serde_json::from_str(json).expect("Envoy's stats are JSON");
        let stats = stats["stats"].as_array().expect("a list of stats");
        let number = |stat: &Value| {
            let name = stat["name"].as_str()?;
            let mut prefixes = PLUGIN_PREFIXES.iter();
            let name = prefixes
                .find_map(|it| name.strip_prefix(it))
                .unwrap_or(name);
            Some((name.to_owned(), stat["value"].as_u64()?))
        };
        Self(stats.iter().filter_map(number).collect())
    }
}
