//! The boards of breakers that a new configuration no longer has.
//!
//! They are emptied, which moves their gauges to 0. What old streams still do to the circuits of such a breaker
//! leaves its board alone.

use circuit_breaker_policy::board::{self, About};
use portcullis_core::config::Name;
use portcullis_host::{Metrics, Roster, SharedValue};

use crate::counters;

/// Makes this the list of breakers, and lets go of those that were on it and are not now.
pub(crate) fn retire_others<'a>(
    plugin: &'static str,
    policy: &Name,
    metrics: &Metrics,
    breakers: impl Iterator<Item = &'a Name>,
) {
    let now: Vec<&str> = breakers.map(Name::as_str).collect();
    for breaker in Roster::open(plugin, policy).replace(&now) {
        let board = SharedValue::open(plugin, policy, &format!("{breaker}/board"));
        let emptied = board.update(|bytes| board::open(bytes, About::default()));
        counters::move_gauges_of(metrics, &breaker, emptied);
    }
}
