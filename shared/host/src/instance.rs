//! One instance of a plugin.

use std::ops::Deref;

use portcullis_core::config::Name;
use portcullis_core::policy::Policy;
use portcullis_core::reply::Reply;

use crate::metric_names::MetricNames;
use crate::metrics::Metrics;
use crate::shared_value::SharedValue;
use crate::tables::{TableSpec, Tables};

/// A compiled policy with its instance name. Instances of one name share their metrics, tables and shared values,
/// across all workers and configuration pushes.
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

    /// The instance's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The metrics of the instance. Call it when configuring.
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

    /// Writes a denied request to the debug log. The response-code details of the reply name the rule.
    pub fn log_denial(&self, reply: &Reply) {
        log::debug!(
            "portcullis {} \"{}\": denied: {}",
            P::NAME,
            self.name,
            String::from_utf8_lossy(&reply.details)
        );
    }

    /// Opens the list of names that the instance has metrics for. Call it when configuring.
    pub fn metric_names(&self) -> MetricNames {
        MetricNames::open(P::NAME, &self.name)
    }
}

impl<P> Deref for Instance<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.policy
    }
}
