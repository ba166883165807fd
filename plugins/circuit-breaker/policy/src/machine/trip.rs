//! When a circuit opens.

use super::window::Counts;
use super::{Cause, Machine, State};

impl Machine {
    /// The reason to open a circuit with these results in its window, if there is one.
    pub(super) fn trip_cause(&self, state: &State, counts: Counts) -> Option<Cause> {
        if self.consecutive > 0 && state.consecutive >= self.consecutive {
            return Some(Cause::Consecutive);
        }
        if counts.total < self.minimum {
            return None;
        }
        match self.exceeds(counts) {
            (true, _) => Some(Cause::Rate),
            (_, true) => Some(Cause::Slow),
            _ => None,
        }
    }

    /// Whether the failure rate and the slow rate are exceeded.
    pub(super) fn exceeds(&self, counts: Counts) -> (bool, bool) {
        let is_over = |part: u32, rate: u32| {
            rate > 0 && u64::from(part) * 100 >= u64::from(rate) * u64::from(counts.total)
        };
        (
            is_over(counts.failed, self.failure_rate),
            is_over(counts.slow, self.slow_rate),
        )
    }
}
