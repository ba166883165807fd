//! Breakers that a new configuration no longer has.
//!
//! Their snapshots are cleared, which sets their gauges to 0. Old streams may still change the circuits of such a
//! breaker, but no longer its snapshot.

use circuit_breaker_policy::snapshot;
use portcullis_core::breaker_snapshot::value_name;
use portcullis_core::config::Name;
use portcullis_host::{Instance, Metrics};

use crate::{Policy, counters};

/// Replaces the list of breakers by the current ones, and clears the snapshots of those that were removed.
pub(crate) fn retire(instance: &Instance<Policy>, metrics: &Metrics) {
    let now: Vec<&str> = instance.breakers().map(Name::as_str).collect();
    for breaker in instance.metric_names().replace(&now) {
        let shared = instance.shared_value(&value_name(&breaker));
        let cleared = shared.update(snapshot::clear);
        counters::add_to_gauges_of(metrics, &breaker, cleared);
    }
}
