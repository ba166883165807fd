//! The generic cell rate algorithm: a token bucket whose whole state is one time.
//!
//! The state is the **theoretical arrival time** (TAT): the time at which everything used so far is
//! paid for, at the rate of one request for each **emission interval** *T* = ⌈per / requests⌉ ns. With
//! the **tolerance** *τ* = burst × *T*:
//!
//! - A cost *c* is admitted at *now* if max(TAT, *now*) + *c T* ≤ *now* + *τ*.
//! - Then TAT becomes max(TAT, *now*) + *c T*. If not, nothing changes.
//! - What remains is ⌊(*now* + *τ* − max(TAT, *now*)) / *T*⌋; the waiting time is what the first
//!   inequality lacks.
//!
//! So any interval of length *t* admits at most burst + *t* / *T*. Rounding *T* up makes the rate
//! lower by at most one part in *T*: 0.1 % at a million requests a second, nothing that can be measured
//! at a thousand.
//!
//! # Refunds
//!
//! A refund of *c* makes TAT earlier by *c T*. (Where that is before *now* the key is unused, and no more
//! than that.) At the time at which it was spent this is an exact inverse, whatever others have spent
//! in between, and so are roll-backs, which have the *now* of their reservation.
//!
//! Later on, part of what was spent has been paid for by waiting, and a refund gives that back once
//! more: up to the time by which all of it must be paid for, *τ* after it was spent. So with *δ* the
//! longest time during which, without a break, something was spent that would be given back, any
//! interval of length *t* admits at most burst + (*t* + *δ*) / *T*, not counting what was given back. For
//! roll-backs *δ* is some microseconds. Seen from the other side, a key gets ahead of its limit by no
//! more than what it was given back.

use super::Algorithm;
use portcullis_core::time::Nanos;
use portcullis_table::State;

#[derive(Clone, Debug)]
pub(crate) struct Gcra {
    burst: u32,
    /// *T*, in nanoseconds.
    emission_interval: Nanos,
    /// *τ*, in nanoseconds.
    tolerance: Nanos,
}

/// The longest tolerance: ten years. It is far from where sums of times overflow.
const MAX_TOLERANCE: Nanos = Nanos::from_secs(10 * 365 * 86_400);

impl Gcra {
    /// So many `requests` in `per` nanoseconds, and `burst` at once, each of them at least 1. `None`
    /// if a burst would take more than ten years to be paid for.
    pub(crate) fn new(requests: u32, per: Nanos, burst: u32) -> Option<Self> {
        let emission_interval = Nanos::new(per.get().div_ceil(requests.into()));
        let tolerance = emission_interval * burst.into();
        (tolerance <= MAX_TOLERANCE).then_some(Self {
            burst,
            emission_interval,
            tolerance,
        })
    }

    fn time_of(&self, cost: u32) -> Nanos {
        self.emission_interval * cost.into()
    }
}

/// The theoretical arrival time. 0, as of a key that was never seen, is long past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ArrivalTime(Nanos);

impl ArrivalTime {
    /// The time that is still to be paid for.
    fn debt(self, now: Nanos) -> Nanos {
        self.0 - now
    }
}

impl State for ArrivalTime {
    type Bytes = [u8; 8];

    fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(Nanos::new(u64::from_le_bytes(bytes)))
    }

    fn join(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

impl Algorithm for Gcra {
    type State = ArrivalTime;

    fn capacity(&self) -> u32 {
        self.burst
    }

    fn wait(&self, tat: ArrivalTime, now: Nanos, cost: u32) -> Nanos {
        tat.debt(now) + self.time_of(cost) - self.tolerance
    }

    fn spend(&self, tat: ArrivalTime, now: Nanos, cost: u32) -> ArrivalTime {
        ArrivalTime(tat.0.max(now) + self.time_of(cost))
    }

    fn refund(&self, tat: ArrivalTime, now: Nanos, cost: u32, spent_at: Nanos) -> ArrivalTime {
        let paid_by = spent_at + self.tolerance;
        let time = self.time_of(cost).min(paid_by - now);
        ArrivalTime(tat.0 - time)
    }

    fn remaining(&self, tat: ArrivalTime, now: Nanos) -> u32 {
        let free = self.tolerance - tat.debt(now);
        let requests = free.get() / self.emission_interval.get();
        // The tolerance has no more than `burst` of them.
        u32::try_from(requests).unwrap_or(self.burst)
    }

    fn used(&self, tat: ArrivalTime, now: Nanos) -> u128 {
        tat.debt(now).get().into()
    }
}
