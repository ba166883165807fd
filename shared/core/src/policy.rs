//! The interface through which plugins and tools load a policy.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::config::{Document, Errors, Name, member_path};

/// A policy, compiled from its configuration. Its [`Display`](fmt::Display) is the summary for the log: mode,
/// rules, bounds.
pub trait Policy: fmt::Display + Sized + 'static {
    /// The plugin's name in snake case: in metrics, in the log, and as the name of its module.
    const NAME: &'static str;

    /// The JSON Schema of the configuration.
    const SCHEMA: &'static str;

    /// A configuration with all parts, so that its instance has every kind of metric.
    const EXAMPLE: &'static str;

    /// The configuration, valid by construction.
    type Config: DeserializeOwned;

    /// Reads a configuration. The result depends only on the text: nobody could fix a configuration that fails on
    /// only some workers.
    fn read(document: Document) -> Result<Self::Config, Errors> {
        document.read()
    }

    /// The name of the plugin instance that a configuration describes.
    fn instance(config: &Self::Config) -> &Name;

    /// Compiles a configuration.
    fn compile(config: Self::Config) -> Self;

    /// The parts of the configuration that refer to other plugins and clusters. `instance` is the name of this
    /// instance.
    fn references(&self, _instance: &Name) -> References {
        References::default()
    }
}

/// What a valid configuration refers to outside itself: other plugins and Envoy clusters.
#[derive(Debug, Default)]
pub struct References {
    /// Settings that have no effect, each with its JSON path.
    pub warnings: Vec<(String, String)>,
    /// Circuit breakers that this instance defines, each as `instance/breaker`.
    pub breakers: Vec<String>,
    /// Circuit breakers whose state this instance reads, each with its JSON path.
    pub respected_breakers: Vec<(String, String)>,
    /// Envoy clusters that this instance calls, each with its JSON path.
    pub clusters: Vec<(String, String)>,
}

impl References {
    /// The same references from a member of a larger configuration: their paths begin with that member.
    #[must_use]
    pub fn within(self, member: &str) -> Self {
        let place = |found: Vec<(String, String)>| {
            let found = found.into_iter().map(|(path, about)| {
                let inner = path.strip_prefix('$').unwrap_or(&path);
                (format!("{}{inner}", member_path("$", member)), about)
            });
            found.collect()
        };
        Self {
            warnings: place(self.warnings),
            breakers: self.breakers,
            respected_breakers: place(self.respected_breakers),
            clusters: place(self.clusters),
        }
    }

    /// The references of two configurations together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.warnings.extend(other.warnings);
        self.breakers.extend(other.breakers);
        self.respected_breakers.extend(other.respected_breakers);
        self.clusters.extend(other.clusters);
        self
    }
}
