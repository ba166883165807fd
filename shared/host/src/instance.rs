//! One instance of a plugin.

use std::ops::Deref;

use portcullis_core::config::Name;
use portcullis_core::policy::Policy;
use portcullis_core::reply::Reply;

use crate::metrics::Metrics;
use crate::roster::Roster;
use crate::shared_data::SharedValue;
use crate::tables::{TableSpec, Tables};

/// A policy, and the name that it has in Envoy: instances of one name share their metrics, their tables and their
/// shared values, over all workers and over configuration pushes.
#[derive(Debug)]
pub struct Instance<P> {
    name: Name,
    policy: P,
}

impl<P: Policy> Instance<P> {
    /// Compiles a configuration.
    pub fn new(config: P::Config) -> Self {
        Self {
            name: P::instance(&config).clone(),
            policy: P::compile(config),
        }
    }

    /// The name of the instance.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The metrics of the instance. Define them when configuring.
    pub fn metrics(&self) -> Metrics {
        Metrics::new(P::NAME, &self.name)
    }

    /// Opens tables of the instance. Call it when configuring.
    pub fn open_tables(&self, specs: impl Iterator<Item = TableSpec>) -> Tables {
        Tables::open(P::NAME, &self.name, specs)
    }

    /// Opens a value that all workers share. Call it when configuring.
    pub fn shared_value(&self, name: &str) -> SharedValue {
        SharedValue::open(P::NAME, &self.name, name)
    }

    /// Says in the debug log that a request is denied, and by which rule: the details of the reply name it.
    pub fn log_denial(&self, reply: &Reply) {
        log::debug!(
            "portcullis {} \"{}\": denied: {}",
            P::NAME,
            self.name,
            String::from_utf8_lossy(&reply.details)
        );
    }

    /// Opens the list of what the instance has metrics for. Call it when configuring.
    pub fn roster(&self) -> Roster {
        Roster::open(P::NAME, &self.name)
    }
}

impl<P> Deref for Instance<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.policy
    }
}
