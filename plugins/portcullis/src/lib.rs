//! The list of all plugins, for the native scenarios, `portcullis-validate` and the checks of the documentation.
//!
//! This is the only list of plugins in the code. Everything else (make, schemas, scenarios, packages) uses the
//! folders in `plugins`.

use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::{Policy, References};

/// One line for each plugin, by its [`Plugin`](portcullis_host::Plugin) type and its policy.
macro_rules! plugins {
    ($($plugin:ident: $type:ident),* $(,)?) => {
        /// Every plugin, in alphabetical order.
        pub const ALL: &[Entry] = &[$(Entry::of::<$plugin::Policy>()),*];

        /// The function that starts the module of this name, in snake case.
        pub fn start(name: &str) -> Option<fn()> {
            $(
                if name == <$plugin::Policy as Policy>::NAME {
                    return Some(portcullis_host::start::<$plugin::$type>);
                }
            )*
            None
        }
    };
}

plugins! {
    circuit_breaker: CircuitBreaker,
    jwt_auth: JwtAuth,
    rate_limit: RateLimit,
    retry_budget: RetryBudget,
    security_headers: SecurityHeaders,
}

/// A plugin and its configuration reader.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name in snake case, such as `rate_limit`.
    pub name: &'static str,
    /// The JSON Schema of its configuration.
    pub schema: &'static str,
    read: fn(Document) -> Result<References, Errors>,
}

impl Entry {
    const fn of<P: Policy>() -> Self {
        Self {
            name: P::NAME,
            schema: P::SCHEMA,
            read: |document| {
                let config = P::read(document)?;
                let instance = P::instance(&config).clone();
                Ok(P::compile(config).references(&instance))
            },
        }
    }

    /// Reads a configuration as the plugin does in Envoy.
    ///
    /// # Errors
    /// All errors in the configuration.
    pub fn read(&self, document: Document) -> Result<References, Errors> {
        (self.read)(document)
    }
}
