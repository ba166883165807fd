//! The ledger of one key: what it may spend on retries, and what it has spent.
//!
//! # Two sources
//!
//! **Deposits.** Each request deposits `ratio` hundredths of a retry, and a retry costs a hundred. A deposit can be
//! spent while it is in the window: the last ten **buckets** of a tenth of `window` each. (The newest bucket has only
//! just begun, so that is between 90 and 100 % of `window`.) With *R* the requests and *W* the withdrawals in these
//! buckets, deposits pay for
//!
//! ⌊max(0, *R* × ratio − *W* × 100) / 100⌋ retries.
//!
//! **The reserve** pays for `min_retries_per_second` in each second of the clock, if deposits do not. Its unused part
//! is lost at the end of the second. (In Finagle, the reserve of a whole window is available at once, and again when
//! that window has passed: by default a burst of 100 retries without any requests.)
//!
//! # Counts, not amounts
//!
//! A ledger stores only whole events: requests and withdrawals for each bucket, and uses of the reserve in this second.
//! The balance is computed from them each time, in integers, so it cannot drift; after ten buckets without events, a
//! ledger is as good as new. A configuration with another ratio or reserve keeps the counts.
//!
//! # Reservations
//!
//! Retries are withdrawn when they are granted, before the request is sent. A [`Reservation`] remembers their source.
//! Unused retries return to the same source, if it still exists:
//!
//! - to the bucket from which they were withdrawn, unless that has left the window: the deposits that paid for them, or
//!   deposits of the same age, have left it too;
//! - to the reserve, in the same second: the next second has a reserve of its own.
//!
//! So after a refund the ledger is exactly as if only the used retries had been withdrawn. A reservation that never
//! returns (a VM crashed) ends in the same way: it is a lease for one window.
//!
//! A request that was charged more than the balance leaves a **debt**: *W* × 100 is then more than *R* × ratio, and
//! deposits grant nothing until the debt has left the window or new deposits have paid for it.
//!
//! # Time
//!
//! `now` is on the steady clock (see [`time`](portcullis_core::time)), counted from the Unix epoch. A worker whose
//! clock is slightly behind the ledger writes into the newest bucket and second of the ledger.
//!
//! # Arithmetic
//!
//! Counts stop at 2³² − 1, which takes 12 million requests per second in the longest window. Sums of ten of them, times
//! a ratio of at most 1000, stay below 2⁴⁶.

mod state;

use portcullis_core::time::Nanos;
use state::BUCKETS;
pub(super) use state::Ledger;

/// The cost of a retry in hundredths.
const COST: u64 = 100;

/// The value of the counts in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// The deposit of a request, in hundredths of a retry.
    pub(super) ratio: u32,
    /// The length of the window, at least 10 nanoseconds.
    pub(super) window: Nanos,
    /// How many retries the reserve pays for in each second.
    pub(super) min_retries_per_second: u32,
}

/// Retries that were withdrawn and can be refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    begun: Nanos,
    bucket: u64,
    from_deposits: u32,
    second: u64,
    from_reserve: u32,
}

impl Reservation {
    /// The number of retries.
    pub(super) fn retries(&self) -> u32 {
        self.from_deposits.saturating_add(self.from_reserve)
    }
}

impl Ledger {
    /// The ledger at this time, without the events that have left the window.
    pub(super) fn at(mut self, rules: &Rules, now: Nanos) -> Self {
        if self.begun == Nanos::ZERO {
            self.begun = now;
        }
        let bucket = now.get() / rules.bucket();
        let begun_since = bucket.saturating_sub(self.newest).min(BUCKETS as u64);
        for number in (0..begun_since).map(|age| bucket.saturating_sub(age)) {
            if let Some(slot) = self.slot(number) {
                *slot = Default::default();
            }
        }
        self.newest = self.newest.max(bucket);
        let second = now.floor_secs();
        if second > self.second {
            self.second = second;
            self.from_reserve = 0;
        }
        self
    }

    /// Counts a request.
    pub(super) fn deposit(&mut self) {
        if let Some(bucket) = self.bucket(self.newest) {
            bucket.requests = bucket.requests.saturating_add(1);
        }
    }

    /// Withdraws as many of the wanted retries as the balance allows.
    pub(super) fn withdraw(&mut self, rules: &Rules, wanted: u32) -> Reservation {
        let from_deposits = wanted.min(self.in_deposits(rules));
        let from_reserve = (wanted - from_deposits).min(self.in_reserve(rules));
        self.from_reserve = self.from_reserve.saturating_add(from_reserve);
        Reservation {
            from_reserve,
            ..self.overdraw(from_deposits)
        }
    }

    /// Withdraws retries from the deposits, regardless of the balance.
    pub(super) fn overdraw(&mut self, retries: u32) -> Reservation {
        if let Some(bucket) = self.bucket(self.newest) {
            bucket.retries = bucket.retries.saturating_add(retries);
        }
        Reservation {
            begun: self.begun,
            bucket: self.newest,
            from_deposits: retries,
            second: self.second,
            from_reserve: 0,
        }
    }

    /// Refunds this number of retries, first to the deposits, because they last longer.
    pub(super) fn refund(&mut self, reservation: &Reservation, retries: u32) {
        if reservation.begun != self.begun {
            return;
        }
        let to_deposits = retries.min(reservation.from_deposits);
        let to_reserve = (retries - to_deposits).min(reservation.from_reserve);
        if let Some(bucket) = self.bucket(reservation.bucket) {
            bucket.retries = bucket.retries.saturating_sub(to_deposits);
        }
        if reservation.second == self.second {
            self.from_reserve = self.from_reserve.saturating_sub(to_reserve);
        }
    }

    /// How many retries the ledger pays for.
    pub(super) fn balance(&self, rules: &Rules) -> u32 {
        self.in_deposits(rules)
            .saturating_add(self.in_reserve(rules))
    }

    /// The cost of evicting the ledger: its number of events.
    pub(super) fn eviction_cost(&self) -> u128 {
        let [requests, retries] = self.sums();
        u128::from(requests) + u128::from(retries) + u128::from(self.from_reserve)
    }

    fn in_deposits(&self, rules: &Rules) -> u32 {
        let [requests, retries] = self.sums();
        let deposited = requests * u64::from(rules.ratio);
        let left = deposited.saturating_sub(retries * COST) / COST;
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    fn in_reserve(&self, rules: &Rules) -> u32 {
        let reserve = rules.min_retries_per_second;
        reserve.saturating_sub(self.from_reserve)
    }

    /// The requests and the retries in the window.
    fn sums(&self) -> [u64; 2] {
        self.buckets.iter().fold([0, 0], |[requests, retries], it| {
            [
                requests + u64::from(it.requests),
                retries + u64::from(it.retries),
            ]
        })
    }
}

impl Rules {
    /// The length of a bucket in nanoseconds.
    fn bucket(&self) -> u64 {
        (self.window.get() / BUCKETS as u64).max(1)
    }
}
