//! All plugins: the list of them, for the native scenarios, `portcullis-validate` and the checks of the
//! documentation, and all of them as one [chain](Portcullis), which is the module `dist/portcullis.wasm`.
//!
//! This is the only list of plugins in the code. Everything else (make, schemas, scenarios, packages) uses the
//! folders in `plugins`.

use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::{Policy, References};
use portcullis_host::{Chain, Pair};

/// All plugins in one module, in the order in which requests pass them; `portcullis_policy` gives the reasons for
/// this order.
pub type Portcullis = Pair<
    security_headers::SecurityHeaders,
    Pair<
        jwt_auth::JwtAuth,
        Pair<
            rate_limit::RateLimit,
            Pair<circuit_breaker::CircuitBreaker, retry_budget::RetryBudget>,
        >,
    >,
>;

/// One line for each plugin, by its [`Plugin`](portcullis_host::Plugin) type and its policy.
macro_rules! plugins {
    ($($plugin:ident: $type:ident),* $(,)?) => {
        /// Every plugin, in alphabetical order.
        pub const ALL: &[Entry] = &[$(Entry::of::<$plugin::Policy>()),*];

        /// Does something with the chain of this name, in snake case: a plugin, or all of them.
        pub fn with_chain<W: WithChain>(name: &str, with: W) -> Option<W::Output> {
            if name == ONE_MODULE.name {
                return Some(with.with::<Portcullis>());
            }
            $(
                if name == <$plugin::Policy as Policy>::NAME {
                    return Some(with.with::<$plugin::$type>());
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

/// What to do with a chain; see [`with_chain`].
pub trait WithChain {
    /// The result.
    type Output;

    /// Does it with this chain.
    fn with<C: Chain>(self) -> Self::Output;
}

/// The plugins in the order in which requests pass [`Portcullis`].
pub fn order() -> Vec<&'static str> {
    Portcullis::members()
}

/// The module of all plugins. It is no plugin itself, and so not in [`ALL`].
pub const ONE_MODULE: Entry = Entry {
    name: <Portcullis as Chain>::NAME,
    schema: include_str!("../schema.json"),
    read: |document| {
        let config = Portcullis::read(document)?;
        Ok(Portcullis::references(config))
    },
};

/// A module and its configuration reader.
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

    /// Reads a configuration as the module does in Envoy.
    ///
    /// # Errors
    /// All errors in the configuration.
    pub fn read(&self, document: Document) -> Result<References, Errors> {
        (self.read)(document)
    }
}
