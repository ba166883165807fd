//! A counter for each window of the clock.
//!
//! Time is divided into windows of `per`. Window 0 starts at the Unix epoch, so windows of an hour start on the
//! hour, and windows of a day at midnight UTC. The state is the last window with any usage, and its count. A cost
//! *c* is admitted if the count of the current window is at most requests − *c*.
//!
//! Each window admits at most `requests`. Any interval around a boundary, however short, can admit twice that. If
//! this matters, choose another algorithm.
//!
//! A debt ends with its window. A refund counts only in the window in which it was spent.

use super::{Algorithm, end_of_window, window_at};
use portcullis_core::time::Nanos;
use portcullis_table::State;

#[derive(Clone, Debug)]
pub(crate) struct FixedWindow {
    requests: u32,
    per: Nanos,
}

impl FixedWindow {
    /// A limit of `requests` in each window of `per`, both at least 1.
    pub(crate) fn new(requests: u32, per: Nanos) -> Self {
        Self { requests, per }
    }

    /// The state at `now`. If its window is later than that of `now`, it stays as it is.
    fn at(&self, state: Window, now: Nanos) -> Window {
        let index = window_at(now, self.per);
        if index <= state.index {
            return state;
        }
        Window { index, count: 0 }
    }
}

/// A window and its count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    index: u64,
    count: u32,
}

impl State for Window {
    type Bytes = [u8; 12];

    fn to_bytes(self) -> [u8; 12] {
        let bits = u128::from(self.index) | u128::from(self.count) << 64;
        let mut bytes = [0; 12];
        let encoded = bits.to_le_bytes();
        bytes
            .iter_mut()
            .zip(encoded)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, count @ ..] = bytes;
        Self {
            index: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            count: u32::from_le_bytes(count),
        }
    }

    /// The later window: an earlier one no longer counts.
    fn join(self, other: Self) -> Self {
        std::cmp::max_by_key(self, other, |window| (window.index, window.count))
    }
}

impl Algorithm for FixedWindow {
    type State = Window;

    fn capacity(&self) -> u32 {
        self.requests
    }

    fn wait(&self, state: Window, now: Nanos, cost: u32) -> Nanos {
        let Window { index, count } = self.at(state, now);
        if count.saturating_add(cost) <= self.requests {
            return Nanos::ZERO;
        }
        end_of_window(index, self.per) - now
    }

    fn spend(&self, state: Window, now: Nanos, cost: u32) -> Window {
        let Window { index, count } = self.at(state, now);
        Window {
            index,
            count: count.saturating_add(cost),
        }
    }

    fn raise(&self, state: Window, now: Nanos, used: u32) -> Window {
        let Window { index, count } = self.at(state, now);
        Window {
            index,
            count: count.max(used),
        }
    }

    fn refund(&self, state: Window, _now: Nanos, cost: u32, spent_at: Nanos) -> Window {
        let is_current = window_at(spent_at, self.per) == state.index;
        Window {
            count: state
                .count
                .saturating_sub(if is_current { cost } else { 0 }),
            ..state
        }
    }

    fn remaining(&self, state: Window, now: Nanos) -> u32 {
        self.requests.saturating_sub(self.at(state, now).count)
    }

    fn used(&self, state: Window, now: Nanos) -> u128 {
        self.at(state, now).count.into()
    }
}
