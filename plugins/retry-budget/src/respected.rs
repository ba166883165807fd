//! A breaker that a budget respects.

use std::cell::Cell;

use circuit_breaker_policy::board;
use portcullis_host::{Gauge, SharedValue};
use retry_budget_policy::{BreakerName, BreakerQuery};

/// What this worker knows of a breaker: its board, which circuit-breaker writes. While no such breaker is
/// configured, nothing is known of it. It may be configured a moment later, or with the next push, so that
/// is no error. It is shown at once, and each worker logs it once, when a request finds it missing.
#[derive(Debug)]
pub(crate) struct Respected {
    breaker: BreakerName,
    board: SharedValue,
    missing: Gauge,
    /// Whether this worker has logged that it is missing.
    is_logged: Cell<bool>,
}

impl Respected {
    /// Opens the board of a breaker. `missing` is 1 while nothing is known of it.
    pub(crate) fn open(breaker: &BreakerName, missing: Gauge) -> Self {
        let BreakerName {
            policy,
            breaker: name,
        } = breaker;
        let respected = Self {
            board: SharedValue::open("circuit_breaker", policy, &format!("{name}/board")),
            breaker: breaker.clone(),
            missing,
            is_logged: Cell::new(false),
        };
        respected.read();
        respected
    }

    /// Whether the breaker is open; not if it is missing or its board cannot be read.
    pub(crate) fn is_open(&self, query: BreakerQuery) -> bool {
        let (bytes, is_missing) = self.read();
        if is_missing && !self.is_logged.replace(true) {
            let BreakerName { policy, breaker } = &self.breaker;
            log::warn!(
                "portcullis retry_budget: nothing is known of the breaker {policy}/{breaker} that \
                 \"respect_breaker\" names, and retries go on without it: is there a circuit-breaker \
                 with this policy and breaker, and the same vm_id?"
            );
        }
        board::is_open(&bytes, query.shape, query.key, query.now)
    }

    /// The board, and whether there is no breaker behind it.
    fn read(&self) -> (Vec<u8>, bool) {
        let bytes = self.board.read().unwrap_or_default();
        let is_missing = !board::is_known(&bytes);
        // Each time: another worker may have found something else in the meantime.
        self.missing.set(is_missing.into());
        (bytes, is_missing)
    }
}
