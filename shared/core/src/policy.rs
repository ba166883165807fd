//! The interface through which plugins and tools load a policy.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::config::{Document, Errors, Name};

/// A policy, compiled from its configuration. Its [`Display`](fmt::Display) is the summary for the log: mode,
/// rules, bounds.
pub trait Policy: fmt::Display + Sized + 'static {
    /// The plugin's name in snake case: in metrics, in the log, and as the name of its module.
    const NAME: &'static str;

    /// The JSON Schema of the configuration.
    const SCHEMA: &'static str;

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
