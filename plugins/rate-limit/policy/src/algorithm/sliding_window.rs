//! Two counters, the older of which fades out.
//!
//! Time is divided into windows of `per`, as for a fixed window. The state is the last window with any usage, its
//! count, and the count of the window before. Let *e* be the time since the current window began. The count of the
//! last `per` is interpolated as if the requests of the previous window had arrived evenly:
//!
//! > used = current + previous × (per − *e*) / per
//!
//! A cost *c* is admitted if used + *c* ≤ requests. The comparison is exact: both sides are integers, multiplied by
//! `per`.
//!
//! Each window of the clock admits at most `requests`, and any interval of length *t* at most
//! requests × (1 + *t* / per): the bound of GCRA with a burst of `requests`. (The interpolation is an estimate: if
//! all requests of the previous window arrived at its end, an interval of `per` can hold nearly twice the limit.)
//!
//! A debt carries over into the next window, where it fades out. A refund counts in the window of the spending, if
//! that is the current or the previous one.

use super::{Algorithm, end_of_window, window_at};
use portcullis_core::time::Nanos;
use portcullis_table::State;

#[derive(Clone, Debug)]
pub(crate) struct SlidingWindow {
    requests: u32,
    per: Nanos,
}

/// The last window with any usage, its count, and the count of the window before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    index: u64,
    current: u32,
    previous: u32,
}

impl Windows {
    /// The state at a later window.
    fn at_window(self, index: u64) -> Self {
        match index.checked_sub(self.index) {
            None | Some(0) => self,
            Some(1) => Self {
                index,
                current: 0,
                previous: self.current,
            },
            Some(_) => Self {
                index,
                current: 0,
                previous: 0,
            },
        }
    }
}

impl State for Windows {
    type Bytes = [u8; 16];

    fn to_bytes(self) -> [u8; 16] {
        let counts = u64::from(self.current) | u64::from(self.previous) << 32;
        (u128::from(self.index) | u128::from(counts) << 64).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        Self {
            index: bits as u64,
            current: (bits >> 64) as u32,
            previous: (bits >> 96) as u32,
        }
    }

    fn join(self, other: Self) -> Self {
        let index = self.index.max(other.index);
        let (one, other) = (self.at_window(index), other.at_window(index));
        Self {
            index,
            current: one.current.max(other.current),
            previous: one.previous.max(other.previous),
        }
    }
}

impl SlidingWindow {
    /// A limit of `requests` in any `per`, both at least 1.
    pub(crate) fn new(requests: u32, per: Nanos) -> Self {
        Self { requests, per }
    }

    /// The state at `now`, and the remaining time of its window. If the window of the state is later than that of
    /// `now`, it counts as if it had just begun.
    fn at(&self, state: Windows, now: Nanos) -> (Windows, Nanos) {
        let index = window_at(now, self.per);
        if index < state.index {
            return (state, self.per);
        }
        (
            state.at_window(index),
            self.per - Nanos::new(now.get() % self.per.get()),
        )
    }

    /// The usage times `per`, if `rest` of the window remains.
    fn weighted(&self, windows: Windows, rest: Nanos) -> u128 {
        u128::from(windows.current) * u128::from(self.per.get())
            + u128::from(windows.previous) * u128::from(rest.get())
    }

    /// The remaining time of a window when the count of the previous one has faded to `free`: ⌊free × per / count⌋,
    /// at most `per`.
    fn rest_when_faded(&self, count: u32, free: u32) -> Nanos {
        let rest = u128::from(free) * u128::from(self.per.get()) / u128::from(count.max(1));
        u64::try_from(rest).map_or(self.per, |rest| self.per.min(Nanos::new(rest)))
    }
}

impl Algorithm for SlidingWindow {
    type State = Windows;

    fn capacity(&self) -> u32 {
        self.requests
    }

    fn wait(&self, state: Windows, now: Nanos, cost: u32) -> Nanos {
        let (windows, rest) = self.at(state, now);
        let Windows {
            index,
            current,
            previous,
        } = windows;
        let admitted = u128::from(self.requests) * u128::from(self.per.get());
        let asked = u128::from(cost) * u128::from(self.per.get());
        if self.weighted(windows, rest) + asked <= admitted {
            return Nanos::ZERO;
        }
        let end = end_of_window(index, self.per);
        let then = match self.requests.checked_sub(current.saturating_add(cost)) {
            // In this window, once the previous count has faded.
            Some(free) => end - self.rest_when_faded(previous, free),
            // In the next window, once the current count has faded.
            None => {
                let free = self.requests.saturating_sub(cost);
                let rest = self.rest_when_faded(current, free);
                end + (self.per - rest)
            }
        };
        then - now
    }

    fn spend(&self, state: Windows, now: Nanos, cost: u32) -> Windows {
        let (windows, _) = self.at(state, now);
        Windows {
            current: windows.current.saturating_add(cost),
            ..windows
        }
    }

    /// In the current window. What is left of the previous one counts beside it.
    fn raise(&self, state: Windows, now: Nanos, used: u32) -> Windows {
        let (windows, _) = self.at(state, now);
        Windows {
            current: windows.current.max(used),
            ..windows
        }
    }

    fn refund(&self, state: Windows, _now: Nanos, cost: u32, spent_at: Nanos) -> Windows {
        let Windows {
            current, previous, ..
        } = state;
        match state.index.checked_sub(window_at(spent_at, self.per)) {
            Some(0) => Windows {
                current: current.saturating_sub(cost),
                ..state
            },
            Some(1) => Windows {
                previous: previous.saturating_sub(cost),
                ..state
            },
            _ => state,
        }
    }

    fn remaining(&self, state: Windows, now: Nanos) -> u32 {
        let (windows, rest) = self.at(state, now);
        let faded = match windows.previous {
            0 => 0,
            previous => {
                (u128::from(previous) * u128::from(rest.get())).div_ceil(self.per.get().into())
            }
        };
        // At most `previous`.
        let faded = u32::try_from(faded).unwrap_or(u32::MAX);
        let used = windows.current.saturating_add(faded);
        self.requests.saturating_sub(used)
    }

    fn used(&self, state: Windows, now: Nanos) -> u128 {
        let (windows, rest) = self.at(state, now);
        self.weighted(windows, rest)
    }
}
