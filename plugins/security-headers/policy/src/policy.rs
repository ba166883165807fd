//! The policy as the host loads it.

use portcullis_core::config::Name;
use portcullis_core::policy::Policy;

use crate::{Config, SecurityHeaders};

impl Policy for SecurityHeaders {
    const NAME: &'static str = "security_headers";
    const SCHEMA: &'static str = include_str!("../../schema.json");
    const EXAMPLE: &'static str = include_str!("../../example.json");
    type Config = Config;

    fn instance(config: &Config) -> &Name {
        &config.name
    }

    fn compile(config: Config) -> Self {
        Self::new(config)
    }
}
