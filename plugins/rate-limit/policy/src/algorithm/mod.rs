//! What a limit admits, as integer arithmetic on states that are values.
//!
//! # Time
//!
//! `now` is in nanoseconds since the Unix epoch, on the steady clock that the [policy](super) describes.
//! 64 bits last until the year 2554.
//!
//! Workers read the clock before they get hold of a state, so `now` may be a little earlier than that
//! of the state's last change. Nothing panics then, and nothing more is admitted: GCRA decides as it
//! would have at the earlier time, had all that was spent since been spent already; the windows count
//! the request in the later window, as if that had just begun.
//!
//! # Rounding
//!
//! Always in the limit's favour: intervals and waiting times up, what remains down.

mod fixed_window;
mod gcra;
mod sliding_window;

pub(super) use fixed_window::FixedWindow;
pub(super) use gcra::Gcra;
pub(super) use sliding_window::SlidingWindow;

use portcullis_core::time::Nanos;
use portcullis_table::State;

/// One way to limit. Costs are in requests.
///
/// Everything is monotonic: a state that is stricter than another one stays so if the same is done to
/// both. The table's strict mode stands on this.
pub(crate) trait Algorithm {
    /// What is kept for each key; the default is that of a key that has used nothing.
    type State: State;

    /// The cost that an unused key admits at once, at least 1.
    fn capacity(&self) -> u32;

    /// For how long to wait until `cost` is admitted if nothing else is, 0 if it is now. Exact to the
    /// nanosecond. `cost` is at most the capacity.
    fn wait(&self, state: Self::State, now: Nanos, cost: u32) -> Nanos;

    /// The state after `cost` was used, be it admitted or not: more than was there is a debt.
    fn spend(&self, state: Self::State, now: Nanos, cost: u32) -> Self::State;

    /// The state after `cost`, spent at `spent_at`, was given back. The caller gives back no more
    /// than it has spent.
    fn refund(&self, state: Self::State, now: Nanos, cost: u32, spent_at: Nanos) -> Self::State;

    /// The largest cost that is admitted now.
    fn remaining(&self, state: Self::State, now: Nanos) -> u32;

    /// How much is in use, in a unit of the algorithm's own; 0 if the key could be forgotten.
    fn used(&self, state: Self::State, now: Nanos) -> u128;
}

/// The window of the clock that a time is in. Window 0 starts at the Unix epoch.
fn window_at(time: Nanos, per: Nanos) -> u64 {
    time.get() / per.get()
}

/// The time at which a window of the clock ends.
fn end_of_window(index: u64, per: Nanos) -> Nanos {
    per * index.saturating_add(1)
}
