//! The boards of breakers that a new configuration no longer has.
//!
//! They are emptied, which moves their gauges to 0. What old streams still do to the circuits of such a breaker
//! leaves its board alone.

use circuit_breaker_policy::board::{self, About};
use portcullis_core::config::Name;
use portcullis_host::{Instance, Metrics};

use crate::{Policy, counters};

/// Makes this the list of breakers, and lets go of those that were on it and are not now.
pub(crate) fn retire_others(instance: &Instance<Policy>, metrics: &Metrics) {
    let now: Vec<&str> = instance.breakers().map(Name::as_str).collect();
    for breaker in instance.metric_names().replace(&now) {
        let board = instance.shared_value(&format!("{breaker}/board"));
        let emptied = board.update(|bytes| board::open(bytes, About::default()));
        counters::move_gauges_of(metrics, &breaker, emptied);
    }
}
