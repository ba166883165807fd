//! The policy as the host loads it.

use portcullis_core::config::{Document, Errors, HasTables as _, Name};
use portcullis_core::policy::{Policy, References};

use crate::{CircuitBreaker, Config};

impl Policy for CircuitBreaker {
    const NAME: &'static str = "circuit_breaker";
    const SCHEMA: &'static str = include_str!("../../schema.json");
    const EXAMPLE: &'static str = include_str!("../../example.json");
    type Config = Config;

    fn read(document: Document) -> Result<Config, Errors> {
        Config::read_with_tables(document)
    }

    fn instance(config: &Config) -> &Name {
        &config.name
    }

    fn compile(config: Config) -> Self {
        Self::new(config)
    }

    fn references(&self, instance: &Name) -> References {
        let names = self.breakers();
        References {
            breakers: names.map(|name| format!("{instance}/{name}")).collect(),
            ..References::default()
        }
    }
}
