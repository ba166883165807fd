//! The circuit breaker that a budget respects.

use std::cell::Cell;

use portcullis_core::breaker_snapshot::{self, CircuitState, Snapshot};
use portcullis_host::{Gauge, HandedOver, SharedValue};
use retry_budget_policy::{BreakerName, BreakerQuery};

/// A breaker, seen through the [snapshot](breaker_snapshot) that circuit-breaker writes.
///
/// A missing breaker is no error, because it may be configured a moment later, or with the next push. The gauge shows
/// at once that it is missing, and each worker logs it once, with the first request that needs the breaker.
#[derive(Debug)]
pub(crate) struct RespectedBreaker {
    name: BreakerName,
    snapshot: SharedValue,
    missing: Gauge,
    /// Whether this worker has logged that the breaker is missing.
    is_logged: Cell<bool>,
}

impl RespectedBreaker {
    /// Opens the snapshot of a breaker. `missing` is 1 while there is no such breaker.
    pub(crate) fn open(name: &BreakerName, missing: Gauge) -> Self {
        let value = breaker_snapshot::value_name(name.breaker.as_str());
        let respected = Self {
            snapshot: SharedValue::open(breaker_snapshot::PLUGIN, &name.policy, &value),
            name: name.clone(),
            missing,
            is_logged: Cell::new(false),
        };
        respected.read();
        respected
    }

    /// Whether the breaker is open. It is not if it is missing or its snapshot cannot be read. A circuit-breaker in
    /// the same module has handed over the state of the circuit, and the snapshot is not read then.
    pub(crate) fn is_open(&self, query: BreakerQuery, handed_over: &HandedOver) -> bool {
        let state = handed_over.get::<CircuitState>(&self.snapshot);
        if let Some(state) = state
            && (state.shape, state.key) == (query.shape, query.key)
        {
            self.missing.set(0);
            return state.is_open;
        }
        let snapshot = self.read();
        if !snapshot.has_breaker() && !self.is_logged.replace(true) {
            let BreakerName { policy, breaker } = &self.name;
            log::warn!(
                "portcullis retry_budget: \"respect_breaker\" names {policy}/{breaker}, but there is no such \
                 breaker, so retries ignore it: is there a circuit-breaker instance {policy} with a breaker \
                 {breaker} and the same vm_id?"
            );
        }
        snapshot.is_open(query.shape, query.key, query.now)
    }

    fn read(&self) -> Snapshot {
        let bytes = self.snapshot.read().unwrap_or_default();
        let snapshot = Snapshot::decode(&bytes);
        // Each time, because another worker may have read something else in the meantime.
        self.missing.set((!snapshot.has_breaker()).into());
        snapshot
    }
}
