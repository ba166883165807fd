//! The policy as the host loads it.

use std::fmt;

use portcullis_core::config::{Document, Errors, HasTables as _, Mode, Name};
use portcullis_core::policy::Policy;

use crate::{Compiled, Config, RateLimit};

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

/// `mode enforce, up to 3 MiB for keys, limits: per-client (100 per 1m), exports (10 per 1m, shadow)`.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mode {}, up to {} for keys, limits:",
            self.mode, self.memory
        )?;
        for (i, Compiled { limit, .. }) in self.limits.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {} ({}", limit.name, limit.rate)?;
            if let Some(fleet) = &limit.fleet {
                write!(f, ", counted by {}", fleet.service())?;
            }
            match limit.mode {
                Mode::Enforce => f.write_str(")")?,
                mode => write!(f, ", {mode})")?,
            }
        }
        Ok(())
    }
}
