//! The gauges of breakers that a new configuration no longer has.
//!
//! A gauge that nobody moves any more keeps its value for as long as Envoy runs. So each instance keeps a list of
//! its breakers in shared data, under `portcullis/circuit_breaker/<policy>/roster`; the next configuration of
//! that name empties the boards of those that it lacks, which moves their gauges to 0. What old streams still
//! do to the circuits of such a breaker leaves its board alone.

use portcullis_host::{Metrics, SharedValue};
use portcullis_policy::circuit_breaker::board::{self, About};
use portcullis_policy::config::Name;
use portcullis_policy::table::Edit;

use crate::counters;

/// Makes this the list of breakers, and lets go of those that were on it and are not now.
pub(crate) fn retire_others<'a>(
    plugin: &'static str,
    policy: &Name,
    metrics: &Metrics,
    breakers: impl Iterator<Item = &'a Name>,
) {
    let now: Vec<&str> = breakers.map(Name::as_str).collect();
    let text = now.join("\n");
    let roster = SharedValue::open(plugin, policy, "roster");
    let before = roster.update(|bytes| {
        let before = std::mem::replace(bytes, text.clone().into_bytes());
        Edit {
            changed: before != *bytes,
            outcome: before,
        }
    });
    // Nobody can have written anything else than names there.
    let before = String::from_utf8(before.unwrap_or_default()).unwrap_or_default();
    let gone = before.lines().filter(|breaker| !now.contains(breaker));
    for breaker in gone {
        let board = SharedValue::open(plugin, policy, &format!("{breaker}/board"));
        let emptied = board.update(|bytes| board::open(bytes, About::default()));
        counters::move_gauges_of(metrics, breaker, emptied);
    }
}
