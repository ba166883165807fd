//! What every policy is to those who load it: a configuration that can be read, and its meaning.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::config::{Document, Errors, Name, member_path};

/// A policy, compiled from its configuration. Its [`Display`](fmt::Display) is the summary that an operator
/// reads in the log: mode, rules, bounds.
pub trait Policy: fmt::Display + Sized + 'static {
    /// The plugin's name in snake case: in metrics, in the log, and as the name of its module.
    const NAME: &'static str;

    /// The JSON Schema of the configuration.
    const SCHEMA: &'static str;

    /// The configuration, valid by construction.
    type Config: DeserializeOwned;

    /// Reads a configuration. The verdict depends on the text alone, because a configuration that fails on
    /// one worker only cannot be mended.
    fn read(document: Document) -> Result<Self::Config, Errors> {
        document.read()
    }

    /// The name of the instance that a configuration describes.
    fn instance(config: &Self::Config) -> &Name;

    /// Compiles a configuration.
    fn compile(config: Self::Config) -> Self;

    /// What the configuration says of its surroundings. `instance` is the name of this instance.
    fn surroundings(&self, _instance: &Name) -> Surroundings {
        Surroundings::default()
    }
}

/// What a valid configuration means for what stands around it: other plugins and Envoy's clusters.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Settings that have no effect, each with its JSON path.
    pub warnings: Vec<(String, String)>,
    /// Circuit breakers that this instance defines, as `instance/breaker`.
    pub breakers: Vec<String>,
    /// Circuit breakers that it reads, each with its JSON path.
    pub respected_breakers: Vec<(String, String)>,
    /// Envoy clusters that it calls, each with its JSON path.
    pub clusters: Vec<(String, String)>,
}

impl Surroundings {
    /// The same, said of a member of a larger configuration: its paths begin with that member.
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

    /// What two configurations say together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.warnings.extend(other.warnings);
        self.breakers.extend(other.breakers);
        self.respected_breakers.extend(other.respected_breakers);
        self.clusters.extend(other.clusters);
        self
    }
}
