//! The generic cell rate algorithm: a token bucket whose whole state is one time.
//!
//! The state is the **theoretical arrival time** (TAT): the time at which all usage so far has recovered, at the
//! rate of one request per **emission interval** *T* = ⌈per / requests⌉ ns. With the **tolerance**
//! *τ* = burst × *T*:
//!
//! - A cost *c* is admitted at *now* if max(TAT, *now*) + *c T* ≤ *now* + *τ*.
//! - If it is admitted, TAT becomes max(TAT, *now*) + *c T*. Otherwise nothing changes.
//! - The remaining capacity is ⌊(*now* + *τ* − max(TAT, *now*)) / *T*⌋. The waiting time is the difference by which
//!   the first inequality fails.
//!
//! So any interval of length *t* admits at most burst + *t* / *T*. Rounding *T* up lowers the rate by at most one
//! part in *T*: 0.1 % at a million requests a second, and too little to measure at a thousand.
//!
//! # Refunds
//!
//! A refund of *c* makes TAT earlier by *c T*. (A TAT before *now* means an unused key, and nothing more.) At the
//! time of the spending, a refund is the exact inverse, whatever other requests have spent in between. Roll-backs
//! are exact, because they have the *now* of their reservation.
//!
//! Later, part of the usage has recovered with time, and a refund returns that part a second time. This stops *τ*
//! after the spending, when all of it must have recovered. Let *δ* be the longest uninterrupted time during which
//! some cost was spent and not yet refunded. Then any interval of length *t* admits at most
//! burst + (*t* + *δ*) / *T*, not counting the refunded requests. For roll-backs, *δ* is some microseconds. In other
//! words, a key gets ahead of its limit by at most the amount of its refunds.

use super::Algorithm;
use portcullis_core::time::Nanos;
use portcullis_table::State;

#[derive(Clone, Debug)]
pub(crate) struct Gcra {
    burst: u32,
    /// *T*.
    emission_interval: Nanos,
    /// *τ*.
    tolerance: Nanos,
}

/// The longest tolerance: ten years, so that sums of times stay far from overflow.
const MAX_TOLERANCE: Nanos = Nanos::from_secs(10 * 365 * 86_400);

impl Gcra {
    /// A rate of `requests` per `per`, with `burst` at once, each of them at least 1. `None` if a burst would take
    /// more than ten years to recover.
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

/// The theoretical arrival time. 0, the state of a key that was never seen, is long past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ArrivalTime(Nanos);

impl ArrivalTime {
    /// The time until all usage has recovered.
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

    fn raise(&self, tat: ArrivalTime, now: Nanos, used: u32) -> ArrivalTime {
        ArrivalTime(tat.0.max(now + self.time_of(used)))
    }

    fn refund(&self, tat: ArrivalTime, now: Nanos, cost: u32, spent_at: Nanos) -> ArrivalTime {
        let paid_by = spent_at + self.tolerance;
        let time = self.time_of(cost).min(paid_by - now);
        ArrivalTime(tat.0 - time)
    }

    fn remaining(&self, tat: ArrivalTime, now: Nanos) -> u32 {
        let free = self.tolerance - tat.debt(now);
        let requests = free.get() / self.emission_interval.get();
        // The tolerance is `burst` emission intervals.
        u32::try_from(requests).unwrap_or(self.burst)
    }

    fn used(&self, tat: ArrivalTime, now: Nanos) -> u128 {
        tat.debt(now).get().into()
    }
}
