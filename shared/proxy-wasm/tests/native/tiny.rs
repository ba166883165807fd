//! A policy that consists of its configuration.

use std::fmt;

use portcullis_core::config::Name;
use portcullis_core::policy::Policy;
use serde::de::DeserializeOwned;

/// A configuration as a policy.
pub(crate) struct Tiny<C>(pub(crate) C);

/// The configuration of such a policy.
pub(crate) trait TinyConfig: DeserializeOwned + 'static {
    /// The name of the plugin.
    const PLUGIN: &'static str;

    /// The name of the instance.
    fn name(&self) -> &Name;
}

impl<C: TinyConfig> Policy for Tiny<C> {
    const NAME: &'static str = C::PLUGIN;
    const SCHEMA: &'static str = "{}";
    const EXAMPLE: &'static str = "{}";
    type Config = C;

    fn instance(config: &C) -> &Name {
        config.name()
    }

    fn compile(config: C) -> Self {
        Self(config)
    }
}

impl<C: TinyConfig> fmt::Display for Tiny<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tiny")
    }
}
