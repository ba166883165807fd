//! What a request takes, and what it gives back.

use portcullis_core::time::Nanos;

use super::{Lease, Leases, Lot, RENEWED_FROM, ROUNDING, SMALL, Step, Ticket};

/// Tokens that a request has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The number of tokens.
    pub cost: u32,
    /// Where they came from.
    pub lot: Lot,
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The tokens. The request passes.
    Taken(Taken),
    /// The tokens, and the caller must renew the lease. The request passes without waiting for that.
    TakenAndRenew(Taken, Ticket),
    /// The caller must make this call, and the request waits for the answer.
    Ask(Ticket),
    /// Another call is on its way: the request waits for its answer, at most until this time, and tries again.
    WaitForOther {
        /// When the other call is given up.
        until: Nanos,
    },
    /// Nothing is left in this window.
    Denied {
        /// When the service may grant something again.
        until: Nanos,
    },
    /// Nothing is left of the lease, and the service cannot be asked: `on_outage` decides.
    NoService,
}

impl Leases {
    /// Takes tokens for a request that began at `since`. `can_ask` says whether the service may be called now; if it may
    /// not, no call is ever due.
    pub fn take(
        &self,
        lease: Lease,
        cost: u32,
        can_ask: bool,
        since: Nanos,
        now: Nanos,
    ) -> Step<Take> {
        self.step(lease, now, |lease| {
            self.take_at(lease, cost, can_ask, since, now)
        })
    }

    fn take_at(
        &self,
        lease: &mut Lease,
        cost: u32,
        can_ask: bool,
        since: Nanos,
        now: Nanos,
    ) -> Take {
        if cost == 0 {
            let lot = Lot::NONE;
            return Take::Taken(Taken { cost, lot });
        }
        let mark_ends = lease.asked_at + self.timeout;
        let is_marked = self.is_marked(lease, now);
        if let Some(left) = lease.tokens.checked_sub(cost) {
            lease.tokens = left;
            let taken = Taken {
                cost,
                lot: lease.lot,
            };
            let hits = match is_marked || !can_ask {
                true => 0,
                false => self.renewal(lease, now),
            };
            if hits == 0 {
                return Take::Taken(taken);
            }
            let ticket = self.ticket(lease, hits, 0, now);
            return Take::TakenAndRenew(taken, ticket);
        }
        if lease.denied.is_some_and(|denied| cost >= denied) {
            return Take::Denied {
                until: lease.resets,
            };
        }
        if !can_ask {
            return Take::NoService;
        }
        let has_waited = lease.was_granted_since(since, now) && now - since >= self.timeout / 4;
        if is_marked && has_waited || lease.is_futile && lease.debt() == 0 {
            return Take::Ask(Ticket {
                hits: cost,
                cost,
                owed: 0,
                asked_at: now,
                is_marked: false,
                window: lease.window(now),
            });
        }
        if is_marked {
            if since == now {
                // The next lease is for it, too.
                lease.size = lease.size.saturating_add(cost).min(self.max.max(1));
            }
            return Take::WaitForOther { until: mark_ends };
        }
        let more = self.more(lease, cost, now);
        let hits = cost.saturating_add(more);
        Take::Ask(self.ticket(lease, hits, cost, now))
    }

    /// The hits of a renewal; 0 if none is due.
    fn renewal(&self, lease: &Lease, now: Nanos) -> u32 {
        let size = self.size(lease, now);
        let ends_soon = lease.dies - now <= self.timeout;
        let is_due = size >= RENEWED_FROM && lease.tokens <= size / 4;
        match is_due && !ends_soon && !self.holds && lease.denied.is_none() {
            true => size - lease.tokens,
            false => 0,
        }
    }

    /// The hits to ask for beyond the cost of the request.
    fn more(&self, lease: &Lease, cost: u32, now: Nanos) -> u32 {
        let begins =
            lease.dies > Nanos::ZERO && !lease.is_live(now) && now < lease.resets + ROUNDING;
        // A debt makes the answer uncertain, and a refusal would waste more.
        if begins || lease.denied.is_some() || lease.debt() > 0 {
            return 0;
        }
        let size = match lease.is_live(now) {
            true => self.size(lease, now),
            false => self.size(lease, now).min(SMALL),
        };
        size.saturating_sub(cost).saturating_sub(lease.tokens)
    }

    /// Marks a call.
    pub(super) fn ticket(&self, lease: &mut Lease, hits: u32, cost: u32, now: Nanos) -> Ticket {
        lease.asked_at = now;
        Ticket {
            hits: hits.saturating_add(lease.debt()),
            cost,
            owed: lease.debt(),
            asked_at: now,
            is_marked: true,
            window: lease.window(now),
        }
    }

    /// Returns tokens of a request that another limit denied, or that cost less than expected. Tokens of a lease
    /// that is dead are lost.
    pub fn give_back(&self, lease: Lease, taken: Taken, now: Nanos) -> Step<()> {
        let (mut lease, wasted) = self.at(lease, now);
        let returns = taken.lot != Lot::NONE && taken.lot == lease.lot && lease.is_live(now);
        let lost = match returns {
            true => {
                lease.tokens = lease.tokens.saturating_add(taken.cost);
                0
            }
            false => taken.cost,
        };
        Step {
            lease,
            outcome: (),
            wasted: wasted.saturating_add(lost),
        }
    }
}
