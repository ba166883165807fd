//! The policy as the host loads it.

use portcullis_core::config::{Document, Errors, HasTables as _, Name};
use portcullis_core::policy::Policy;

use crate::{Config, RateLimit};

impl Policy for RateLimit {
    const NAME: &'static str = "rate_limit";
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
}
