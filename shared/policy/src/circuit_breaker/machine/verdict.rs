//! When to open, and when to close.

use super::window::Counts;
use super::{Cause, Machine, State};

/// What probes have shown.
pub(super) enum Verdict {
    Open,
    Close,
}

impl Machine {
    /// Why a circuit with these results in its window should open, if it should.
    pub(super) fn verdict(&self, state: &State, counts: Counts) -> Option<Cause> {
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

    /// What the probes say, as soon as there are enough of them.
    pub(super) fn verdict_on_probes(&self, state: &State) -> Option<Verdict> {
        let enough = self.minimum.min(self.permits);
        let in_a_row = self.consecutive.min(enough);
        if in_a_row > 0 && state.consecutive >= in_a_row {
            return Some(Verdict::Open);
        }
        if state.probed.total < enough {
            return None;
        }
        Some(match self.exceeds(state.probed) {
            (false, false) => Verdict::Close,
            _ => Verdict::Open,
        })
    }

    /// Whether too many failed, and whether too many were slow.
    fn exceeds(&self, counts: Counts) -> (bool, bool) {
        let is_over = |part: u32, rate: u32| {
            rate > 0 && u64::from(part) * 100 >= u64::from(rate) * u64::from(counts.total)
        };
        (
            is_over(counts.failed, self.failure_rate),
            is_over(counts.slow, self.slow_rate),
        )
    }
}
