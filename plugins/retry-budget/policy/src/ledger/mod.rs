//! The account of one key: what it may spend on retries, and what it has spent.
//!
//! # Two sources
//!
//! **Deposits.** Each request deposits `ratio` hundredths of a retry, and a retry costs a hundred. A
//! deposit can be spent for as long as it is in the window, the last ten **buckets** of a tenth of
//! `window` each. (The newest bucket has only just begun, so that is between 90 and 100 % of `window`.)
//! With
//! *R* the requests and *W* the withdrawals in these buckets, deposits pay for
//!
//! ⌊max(0, *R* × ratio − *W* × 100) / 100⌋ retries.
//!
//! **The reserve** pays for `min_retries_per_second` in each second of the clock, when deposits do not.
//! What is left of it at the end of the second is gone. (In Finagle the reserve of a whole window is
//! there at once, and again when that window has passed: a burst of 100 retries by default, out of
//! nothing.)
//!
//! # Counts, not amounts
//!
//! Only whole events are kept: requests and withdrawals by bucket, and uses of the reserve in this
//! second. The balance is computed from them each time, in integers, so there is nothing that could
//! drift; and after ten buckets without events a ledger is as good as new. A configuration that has
//! another ratio or reserve finds the counts as they are.
//!
//! # Reservations
//!
//! Retries are withdrawn when they are granted, before the request is sent. A [`Reservation`] remembers
//! from where. What was not used goes back to the same place, if that still exists:
//!
//! - to the bucket from which it was withdrawn, unless that has left the window: the deposits that it was
//!   paid from, or as old ones, are gone too;
//! - to the reserve if it is still the same second: the next one has a reserve of its own.
//!
//! So after a refund the ledger is exactly as if only what was used had been withdrawn. A reservation
//! that never comes back (a VM crashed) ends in the same way: it is a lease for one window.
//!
//! A request that was charged more than there was leaves a **debt**: *W* × 100 is then more than *R* ×
//! ratio, and nothing is granted from deposits until the debt has left the window or new deposits have
//! paid for it.
//!
//! # Time
//!
//! As for all policies, `now` is in nanoseconds since the Unix epoch by the steady clock. A worker that is
//! a little behind what is in the ledger writes into the newest bucket and second that there are.
//!
//! # Arithmetic
//!
//! Counts stop at 2³² − 1, which takes 12 million requests per second in the longest window. Sums of ten
//! of them, times a ratio of at most 1000, stay below 2⁴⁶.

mod state;

use state::BUCKETS;
pub(super) use state::Ledger;

/// What a retry costs in hundredths.
const COST: u64 = 100;
const SECOND: u64 = 1_000_000_000;

/// What the counts of a ledger are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// What a request deposits, in hundredths of a retry.
    pub(super) ratio: u32,
    /// The length of the window in nanoseconds, at least 10.
    pub(super) window: u64,
    /// For how many retries the reserve pays in each second.
    pub(super) min_retries_per_second: u32,
}

/// Retries that were withdrawn and may be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    begun: u64,
    bucket: u64,
    from_deposits: u32,
    second: u64,
    from_reserve: u32,
}

impl Reservation {
    /// How many retries.
    pub(super) fn retries(&self) -> u32 {
        self.from_deposits.saturating_add(self.from_reserve)
    }
}

impl Ledger {
    /// The ledger at `now`: what has left the window is forgotten.
    pub(super) fn at(mut self, rules: &Rules, now: u64) -> Self {
        if self.begun == 0 {
            self.begun = now;
        }
        let bucket = now / rules.bucket();
        let begun_since = bucket.saturating_sub(self.newest).min(BUCKETS as u64);
        for number in (0..begun_since).map(|age| bucket.saturating_sub(age)) {
            if let Some(slot) = self.slot(number) {
                *slot = Default::default();
            }
        }
        self.newest = self.newest.max(bucket);
        if now / SECOND > self.second {
            self.second = now / SECOND;
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

    /// Withdraws as many retries as are wanted and there.
    pub(super) fn withdraw(&mut self, rules: &Rules, wanted: u32) -> Reservation {
        let from_deposits = wanted.min(self.in_deposits(rules));
        let from_reserve = (wanted - from_deposits).min(self.in_reserve(rules));
        self.from_reserve = self.from_reserve.saturating_add(from_reserve);
        Reservation {
            from_reserve,
            ..self.overdraw(from_deposits)
        }
    }

    /// Withdraws retries from the deposits, be they there or not.
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

    /// Gives back so many of the retries, to the deposits first: they last longer.
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

    /// How many retries it pays for.
    pub(super) fn balance(&self, rules: &Rules) -> u32 {
        self.in_deposits(rules)
            .saturating_add(self.in_reserve(rules))
    }

    /// How much would be lost with it: 0 if nothing.
    pub(super) fn events(&self) -> u128 {
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

    /// All requests and all retries of the window.
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
    /// The length of a bucket.
    fn bucket(&self) -> u64 {
        (self.window / BUCKETS as u64).max(1)
    }
}
