//! The algorithms: integer arithmetic on states that are values.
//!
//! # Time
//!
//! `now` is the time since the Unix epoch, on the steady clock that the [policy](super) describes. Its 64 bits of
//! nanoseconds last until the year 2554.
//!
//! Workers read the clock before they read a state, so `now` can be slightly earlier than the state's last change.
//! Nothing panics then, and nothing more is admitted: GCRA decides as if everything spent since had been spent
//! before `now`, and the window algorithms count the request in the later window, as if that had just begun.
//!
//! # Rounding
//!
//! Always in the limit's favour: intervals and waiting times are rounded up, remaining amounts down.

mod fixed_window;
mod gcra;
mod sliding_window;

pub(super) use fixed_window::FixedWindow;
pub(super) use gcra::Gcra;
pub(super) use sliding_window::SlidingWindow;

use portcullis_core::time::Nanos;
use portcullis_table::State;

/// An algorithm. Costs are in requests.
///
/// Every operation is monotonic: applied to two states, one stricter than the other, it keeps their order. The
/// table's strict mode relies on this.
pub(crate) trait Algorithm {
    /// The state of a key; the default is that of a key that has used nothing.
    type State: State;

    /// The cost that an unused key admits at once, at least 1.
    fn capacity(&self) -> u32;

    /// The time until `cost` is admitted, if nothing else is admitted before; 0 if it is admitted now. Exact to the
    /// nanosecond. `cost` is at most the capacity.
    fn wait(&self, state: Self::State, now: Nanos, cost: u32) -> Nanos;

    /// The state after `cost` was spent, admitted or not: a cost beyond the remaining capacity becomes a debt.
    fn spend(&self, state: Self::State, now: Nanos, cost: u32) -> Self::State;

    /// The state with at least this usage, at most the capacity, which was counted elsewhere. What the state has of its
    /// own is part of it.
    fn raise(&self, state: Self::State, now: Nanos, used: u32) -> Self::State;

    /// The state after a refund of `cost`, which was spent at `spent_at`. The caller refunds no more than it has
    /// spent.
    fn refund(&self, state: Self::State, now: Nanos, cost: u32, spent_at: Nanos) -> Self::State;

    /// The largest cost that is admitted now.
    fn remaining(&self, state: Self::State, now: Nanos) -> u32;

    /// The usage, in the algorithm's own unit: the cost of evicting the key, 0 if its state has expired.
    fn used(&self, state: Self::State, now: Nanos) -> u128;
}

/// The index of the clock's window at a time. Window 0 starts at the Unix epoch.
fn window_at(time: Nanos, per: Nanos) -> u64 {
    time.get() / per.get()
}

/// The time at which a window of the clock ends.
fn end_of_window(index: u64, per: Nanos) -> Nanos {
    per * index.saturating_add(1)
}
