//! Leases: tokens of a key that are taken ahead, and handed out without a call.
//!
//! A lease is what the service granted to this proxy: a number of hits that it has counted already. All workers of
//! the proxy take from it through the shared table. One of them renews it for all, and the others wait for that one
//! only if nothing is left.
//!
//! # Time
//!
//! A lease must die before the window in which the service counted it ends, or a client could spend it in addition to
//! the next window's limit. The service does not name the window. It says how long the window will last, *D*, in
//! whole seconds: with the second *⌊t⌋* of its clock in which it computes the answer, the window ends at *⌊t⌋ + D*.
//! No clock is compared with another one; a proxy whose clock is wrong by a minute computes the same.
//!
//! Let *s* be the time of the call and *r* that of its answer, on the proxy's steady clock. The service computed the
//! answer at some time *t* in between. So the end *E* of the window is bounded from both sides:
//!
//! > *s* + *D* − 1 s < *E* ≤ *r* + *D*
//!
//! - A **lease dies** at the lower bound, less one part in 1024 of *D* because clocks may run at different
//!   speeds. Each answer gives such a bound; while one of them is still to come, a later answer is about the same
//!   window, and the latest bound counts. A key with many calls therefore uses its window almost to the end.
//! - A **denial ends** at the upper bound, with jitter, so that not every proxy asks at the same moment.
//!
//! # The window of the count
//!
//! envoyproxy/ratelimit reads its clock twice: to choose the counter, and to compute *D*. Between the two, a window
//! can end. Then the tokens belong to the window that is over, and *D* to the next one. The answer is **certain** if
//! both readings must have been in the same window:
//!
//! - *r* − *s* ≤ window − *D*: the window began before the call did; or
//! - the proxy knew at *s*, from an earlier answer, a window that is not over at *r*.
//!
//! An uncertain answer decides about the request that waited for it, as it would for Envoy's own filter. Further
//! tokens are not handed out, and a denial is not remembered. This concerns the first call of a key in the first
//! second of a window; calls that the proxy expects to be uncertain ask for no more than the request costs.
//!
//! # The size of a lease
//!
//! A key that the proxy has never seen asks for its cost alone: it may be new to many proxies, which would all take a
//! lease and use one token. The answer says what remains, and from then on a lease has the least of:
//!
//! - the **size by use**: twice the last one if that lasted less than 1/16 of a window, at most 4 s, and half of it if
//!   it lasted four times as long; 1 after a refusal; more by the cost of each request that waits. But at least 4 while that is no more than 1/16 of this
//!   proxy's part of what remains;
//! - in the last second of a window, a size in proportion to the rest;
//! - `max`, and `share` percent of the limit;
//! - half of this proxy's **part of what remains**, which is *remaining* / *peers*. *peers* is how many times more the
//!   counter moves than by this proxy's own hits. It is averaged over the answers.
//!
//! A lease is renewed when a quarter is left, up to *L* again, if *L* is at least 4. Smaller ones are not renewed
//! ahead. So a key asks for single hits when its limit is nearly used up.
//!
//! # What a refusal costs
//!
//! envoyproxy/ratelimit adds first and compares then. A call for 50 hits of which 30 fit is refused, and the counter
//! is now beyond the limit: the 30 are lost to all proxies until the window ends. (`limit_remaining` is 0 in such an
//! answer whatever was left.) This happens at most once in a window: a later refusal finds nothing left. The loss is
//! at most one lease less one hit; the third bound above makes it small. Limitador compares first, so nothing is lost.
//!
//! The proxy cannot know which of the two answered. After a refusal of more hits than the request costs, it asks once
//! more for the cost alone. A refusal of *c* hits is remembered until the window ends: costs of *c* or more are denied
//! without a call. So each key is refused at most once for each smaller cost, and nothing loops.
//!
//! A call with several descriptors can be refused without saying which one is over its limit. Then nothing is
//! remembered: one client that has used up its own limit would otherwise stop all clients of a limit that they share.
//!
//! # Single-flight
//!
//! A call that several requests may profit from is marked in the state. While it is marked, requests that find no token
//! wait, and each adds its cost to the size of the next lease. A request waits for the calls of others while it has
//! time for one more and then one of its own: if it finds no token although a lease was granted while it waited, a
//! quarter of the timeout has passed, and a call is marked again, it asks for its cost alone. So a burst is never
//! decided by `on_outage` while the service answers within half the timeout. The mark expires after the timeout of the
//! service, so a lost call never blocks a key. An answer whose mark is gone (it is late, or the key was evicted
//! meanwhile) changes nothing: its tokens are lost.
//!
//! If answers come back with a lease that is already dead (in the last second of a window; from a service that does
//! not say when windows end), waiting for another one's call is useless. Then each request asks for itself.
//!
//! # Debt
//!
//! [`Leases::owe`] counts what was admitted without the service: during an outage, or by a response that cost more
//! than was reserved. The next call adds it to its hits. What the service does not learn before the window ends is
//! forgotten, as everything else in that window. The end of a window is known to about two seconds; what is admitted in
//! these, or before the service has ever answered, counts in the next window as well.
//!
//! During an outage, a debt must [fit](Leases::admit) into what the service had left, and in a later window into the
//! limit. The local limiter counts beside that, and alone it would admit more: GCRA refills within a window, and its
//! burst can be larger than the limit. The window is known to end at `resets` at the latest, so what is admitted
//! between its real end and that time counts in both, and neither gets more than its limit. Before the service has ever
//! answered, windows are those of the proxy's clock.
//!
//! A debt of a request that did not pass, or cost less, is [forgiven](Leases::forgive).

mod answers;
mod debt;
mod ended;
mod hold;
mod state;
mod table;
mod take;
#[cfg(test)]
pub(in crate::fleet) mod tests;

use portcullis_core::time::Nanos;

pub use answers::{Grant, Refusal};
pub use debt::{Admission, Debt, Local, Room};
pub use ended::{End, Ended};
pub use hold::Closed;
pub use state::Lease;
pub use table::Applied;
pub use take::{Take, Taken};

/// The size of a lease that is not worth less as long as much remains.
const SMALL: u32 = 4;
/// The smallest lease that is renewed ahead.
const RENEWED_FROM: u32 = 4;
/// A lease that lasted less than one part in this many of a window is followed by a larger one.
const SHORT: u64 = 16;
/// But no lease must last longer than this.
const LONG: Nanos = Nanos::from_secs(4);
/// The resolution of times in an answer.
const ROUNDING: Nanos = Nanos::SECOND;
/// Clocks drift apart by at most one part in this many: twice the 500 ppm by which NTP may slew a clock.
const DRIFT: u64 = 1_024;
/// How long a lease lasts if the service has no limit for the descriptor.
const WITHOUT_LIMIT: Nanos = Nanos::from_secs(10);

/// The leases of a limit: their bounds, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Leases {
    /// The largest lease, at least 1.
    pub max: u32,
    /// The largest part of the limit in one lease, in percent.
    pub share: u32,
    /// How long a call may take.
    pub timeout: Nanos,
    /// The requests of the configured rate; the service's own limit wins.
    pub requests: u32,
    /// The period of the configured rate; the service's own unit wins.
    pub per: Nanos,
    /// Whether the service only holds the tokens of a lease, until they are committed (`Reserve`).
    pub holds: bool,
}

/// What the service decides about one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its hits are granted.
    Granted,
    /// It is over its limit.
    Refused,
    /// The call is refused, and the service does not say whether because of this descriptor or of another one.
    RefusedTogether,
}

/// What the service says about one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The hits of a window.
    pub limit: Option<u32>,
    /// The length of a window.
    pub unit: Option<Nanos>,
    /// The hits that are left in the window.
    pub remaining: Option<u32>,
    /// How long the answer holds.
    pub life: Life,
}

/// How long an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Until the window ends, this long after the answer was computed.
    Window(Nanos),
    /// The service holds the amount for this long, whatever its windows (`Reserve`).
    Hold(Nanos),
    /// The service has no limit for the descriptor.
    WithoutLimit,
    /// The service does not say. Nothing can be handed out later.
    Unknown,
}

/// A call that must be made, and then reported to [`Leases::granted`], [`Leases::refused`],
/// [`Leases::refused_together`] or [`Leases::failed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call that is neither made nor reported blocks its key until the timeout"]
pub struct Ticket {
    /// The hits to ask for.
    pub hits: u32,
    /// The part of them that the waiting request costs; 0 for a renewal.
    pub cost: u32,
    /// The part of them that is a debt.
    owed: u32,
    asked_at: Nanos,
    /// Whether the state has a mark for this call.
    is_marked: bool,
    /// The window that was known when the call was made.
    window: Lot,
}

/// Names the lease that a token came from, so that it can be returned there. A token without one cannot be returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lot(u32);

impl Lot {
    pub(crate) const NONE: Self = Self(0);

    /// Of a lease that dies at this time. Windows are at least a second apart.
    fn of(dies: Nanos) -> Self {
        Self((dies.get() >> 20) as u32 | 1)
    }
}

/// A new state, and the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<T> {
    /// The state.
    pub lease: Lease,
    /// The outcome.
    pub outcome: T,
    /// Tokens that were counted by the service and can no longer be used.
    pub wasted: u32,
}

impl Leases {
    /// The largest lease that the limit allows, whatever the use.
    pub fn largest(&self, limit: u32) -> u32 {
        let share = u64::from(limit) * u64::from(self.share) / 100;
        u32::try_from(share)
            .unwrap_or(u32::MAX)
            .clamp(1, self.max.max(1))
    }

    /// The state at `now`, without everything that is over. Also returns the tokens that are lost.
    fn at(&self, mut lease: Lease, now: Nanos) -> (Lease, u32) {
        let mut lost = 0;
        if !lease.is_live(now) {
            lost = std::mem::take(&mut lease.tokens);
        }
        if now >= lease.resets {
            lease.denied = None;
            lease.remaining = None;
            lease.owed = std::mem::take(&mut lease.owed_late);
            if lease.owed > 0 {
                lease.resets += self.per;
                if now >= lease.resets {
                    lease.owed = 0;
                }
            }
        }
        (lease, lost)
    }

    /// Changes the state as it is at `now`.
    fn step<T>(&self, lease: Lease, now: Nanos, change: impl FnOnce(&mut Lease) -> T) -> Step<T> {
        let (mut lease, wasted) = self.at(lease, now);
        let outcome = change(&mut lease);
        Step {
            lease,
            outcome,
            wasted,
        }
    }

    /// Whether a call is on its way that others wait for.
    fn is_marked(&self, lease: &Lease, now: Nanos) -> bool {
        lease.asked_at > Nanos::ZERO && now < lease.asked_at + self.timeout
    }

    /// How much it matters to lose a state: the tokens, the debt, the denial and the call that the key would no longer
    /// have. 0 if it has nothing of these.
    pub fn eviction_cost(&self, lease: Lease, now: Nanos) -> u128 {
        let (lease, _) = self.at(lease, now);
        let denial = lease.denied.map_or(0, |_| lease.limit.unwrap_or(1));
        let mark = u8::from(self.is_marked(&lease, now));
        u128::from(lease.tokens) + u128::from(lease.debt()) + u128::from(denial) + u128::from(mark)
    }

    /// The service's limit, the hits that are left as far as this proxy knows, and the time until the window ends;
    /// for response headers. `None` if the service has not answered in this window.
    pub fn quota(&self, lease: Lease, now: Nanos) -> Option<(u32, u32, Nanos)> {
        let (lease, _) = self.at(lease, now);
        if self.holds {
            return self.quota_of_hold(&lease, now);
        }
        let remaining = match lease.denied {
            Some(_) => 0,
            None => lease.remaining?,
        };
        let available = remaining.saturating_add(lease.tokens);
        let available = available.saturating_sub(lease.debt());
        Some((lease.limit?, available, lease.resets - now))
    }

    /// The size of the next lease.
    fn size(&self, lease: &Lease, now: Nanos) -> u32 {
        // A key that is new to this proxy may be new to many, and they would take a lease each.
        // A service that holds amounts never says its limit, and what is not used returns to it.
        let limit = lease.limit.or(self.holds.then_some(self.requests));
        let Some(limit) = limit else {
            // Once the service has answered, it has no limit.
            return if lease.is_live(now) {
                self.max.max(1)
            } else {
                1
            };
        };
        let remaining = lease.remaining.unwrap_or(limit);
        let part = remaining / u32::from(lease.peers.max(1));
        let mut size = lease.size.max(SMALL.min(part / 16));
        size = size.min(self.largest(limit)).min(part / 2);
        let rest = lease.dies - now;
        if lease.is_live(now) && rest < Nanos::SECOND {
            let part = u128::from(size) * u128::from(rest.get()) / u128::from(Nanos::SECOND.get());
            size = u32::try_from(part).unwrap_or(size);
        }
        size
    }
}
