//! The policy as the host loads it.

use portcullis_core::config::{Document, Errors, HasTables as _, Name};
use portcullis_core::policy::{Policy, References};

use crate::{Config, RetryBudget};

impl Policy for RetryBudget {
    const NAME: &'static str = "retry_budget";
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

    fn references(&self, _: &Name) -> References {
        let warnings = self.warnings();
        let respected = self.breakers().enumerate().filter_map(|(i, breaker)| {
            let breaker = breaker?;
            let name = format!("{}/{}", breaker.policy, breaker.breaker);
            Some((format!("$.budgets[{i}].respect_breaker"), name))
        });
        References {
            warnings: warnings.map(|it| ("$.budgets".to_owned(), it)).collect(),
            respected_breakers: respected.collect(),
            ..References::default()
        }
    }
}
