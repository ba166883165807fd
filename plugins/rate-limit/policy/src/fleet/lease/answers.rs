//! What the answer to a call changes.

use portcullis_core::backoff;
use portcullis_core::time::Nanos;

use super::{
    Answer, DRIFT, LONG, Lease, Leases, Life, Lot, ROUNDING, SHORT, Step, Taken, Ticket,
    WITHOUT_LIMIT, state::milliseconds,
};

/// A denial is remembered for up to one part in this many of a window longer than the window.
const JITTER: u64 = 64;

/// The call was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tokens of the request that waited for the call. It passes.
    pub taken: Taken,
    /// The tokens that other requests can take now.
    pub added: u32,
    /// The part of the hits that has paid a debt.
    pub paid: u32,
}

/// The call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The call was for more than the request costs: the caller must make this one.
    AskLess(Ticket),
    /// The request is denied. A renewal has no request.
    Denied {
        /// When the service may grant something again.
        until: Nanos,
    },
}

/// What an answer says about time.
struct Bounds {
    /// Not after the end of the window.
    dies: Nanos,
    /// Not before the end of the window.
    resets: Nanos,
    /// Whether the window of the count began before the call.
    is_certain: bool,
    unit: Nanos,
}

impl Leases {
    fn bounds(&self, ticket: Ticket, answer: Answer, now: Nanos) -> Bounds {
        let unit = answer.unit.unwrap_or(self.per);
        let asked_at = ticket.asked_at;
        match answer.life {
            Life::Window(rest) => {
                let rest = rest.min(unit);
                Bounds {
                    dies: asked_at + rest - rest / DRIFT - ROUNDING,
                    resets: now + rest,
                    is_certain: now - asked_at <= unit - rest,
                    unit,
                }
            }
            // The commit takes a call, too.
            Life::Hold(rest) => Bounds {
                dies: asked_at + rest - rest / DRIFT - self.timeout,
                resets: now + rest,
                is_certain: true,
                unit,
            },
            Life::WithoutLimit => Bounds {
                dies: asked_at + WITHOUT_LIMIT,
                resets: now + WITHOUT_LIMIT,
                is_certain: true,
                unit,
            },
            Life::Unknown => Bounds {
                dies: Nanos::ZERO,
                resets: now + unit.min(ROUNDING),
                is_certain: true,
                unit,
            },
        }
    }

    /// Ends the mark of a call. Returns false if it is gone.
    fn unmark(lease: &mut Lease, ticket: Ticket) -> bool {
        let is_marked = lease.asked_at == ticket.asked_at;
        if ticket.is_marked && is_marked {
            lease.asked_at = Nanos::ZERO;
        }
        is_marked || !ticket.is_marked
    }

    /// The service has granted the call. The waiting request passes, whatever has become of the state.
    pub fn granted(&self, lease: Lease, ticket: Ticket, answer: Answer, now: Nanos) -> Step<Grant> {
        let (mut lease, wasted) = self.at(lease, now);
        let cost = ticket.cost;
        let more = ticket.hits - cost.saturating_add(ticket.owed).min(ticket.hits);
        // A service that only holds them gets them back.
        let lost = |tokens| if self.holds { 0 } else { tokens };
        if !Self::unmark(&mut lease, ticket) {
            return Step {
                lease,
                outcome: Grant {
                    taken: Taken {
                        cost,
                        lot: Lot::NONE,
                    },
                    added: 0,
                    paid: 0,
                },
                wasted: wasted.saturating_add(lost(more)),
            };
        }
        let late = ticket.owed.saturating_sub(lease.owed);
        lease.owed = lease.owed.saturating_sub(ticket.owed);
        lease.owed_late = lease.owed_late.saturating_sub(late);
        if ticket.owed > 0 {
            lease.payments = lease.payments.wrapping_add(1);
        }
        lease.is_local = false;
        lease.limit = answer.limit.or(lease.limit);
        let bounds = self.bounds(ticket, answer, now);
        let was_live = lease.is_live(now);
        let is_certain = match answer.life {
            Life::Hold(_) => Self::open(&mut lease, bounds.dies, now),
            _ => self.learn(&mut lease, &bounds, ticket, answer, now),
        };
        let is_usable = is_certain && lease.is_live(now);
        let (lot, added) = match is_usable {
            true => (lease.lot, more),
            false => (Lot::NONE, 0),
        };
        lease.tokens = lease.tokens.saturating_add(added);
        if is_usable && ticket.is_marked {
            self.resize(&mut lease, bounds.unit, now);
        }
        lease.is_futile = !was_live && !lease.is_live(now);
        Step {
            lease,
            outcome: Grant {
                taken: Taken { cost, lot },
                added,
                paid: ticket.owed,
            },
            wasted: wasted.saturating_add(lost(more - added)),
        }
    }

    /// Learns the window of an answer. Returns whether its tokens belong to the window that the state has then.
    fn learn(
        &self,
        lease: &mut Lease,
        bounds: &Bounds,
        ticket: Ticket,
        answer: Answer,
        now: Nanos,
    ) -> bool {
        let is_same = lease.is_live(now) && lease.lot == ticket.window;
        match (lease.is_live(now), now < bounds.dies) {
            // Both windows end after now, and began before it.
            (true, true) => {
                lease.dies = lease.dies.max(bounds.dies);
                lease.resets = lease.resets.min(bounds.resets).max(lease.dies);
                Self::count_peers(lease, lease.remaining, ticket, answer);
                lease.remaining = answer.remaining;
                is_same || bounds.is_certain
            }
            // The window of the answer may be over, unless it is the one that was known.
            (true, false) => {
                if is_same {
                    lease.remaining = answer.remaining.or(lease.remaining);
                }
                is_same
            }
            (false, is_live) => {
                if is_live {
                    lease.dies = bounds.dies;
                    lease.lot = Lot::of(bounds.dies);
                }
                // Bounds of one window differ by the rounding and the time of a call.
                if bounds.resets > lease.resets + ROUNDING * 2 {
                    lease.resets = bounds.resets;
                    lease.denied = None;
                    lease.owed = lease.debt();
                    lease.owed_late = 0;
                }
                // What others have used since the window began.
                Self::count_peers(lease, answer.limit, ticket, answer);
                lease.remaining = answer.remaining;
                bounds.is_certain
            }
        }
    }

    /// Compares how far the counter moved, since it had `before` left, with the hits of this proxy.
    fn count_peers(lease: &mut Lease, before: Option<u32>, ticket: Ticket, answer: Answer) {
        let (Some(before), Some(after)) = (before, answer.remaining) else {
            return;
        };
        let moved = before.saturating_sub(after);
        let peers = moved.div_ceil(ticket.hits.max(1)).clamp(1, u8::MAX.into());
        let peers = u8::try_from(peers).unwrap_or(u8::MAX);
        let old = lease.peers.max(1);
        lease.peers = match peers > old {
            true => old + (peers - old).div_ceil(2),
            false => old - (old - peers).div_ceil(4),
        };
    }

    /// Sizes the next lease by how long the last one lasted.
    fn resize(&self, lease: &mut Lease, unit: Nanos, now: Nanos) {
        let at = milliseconds(now);
        let lasted = Nanos::from_millis(at.wrapping_sub(lease.granted_at).into());
        let short = match self.holds {
            true => self.life() / 4,
            false => (unit / SHORT).min(LONG),
        };
        lease.size = match lease.size {
            0 => 1,
            // The first: it is the size that those want who wait.
            size if lease.granted_at == 0 => size,
            size if lasted < short => size.saturating_mul(2).min(self.max.max(1)),
            size if lasted > short * 4 => (size / 2).max(1),
            size => size,
        };
        lease.granted_at = at;
    }

    /// The service has refused the call. `random` is any number, evenly distributed.
    pub fn refused(
        &self,
        lease: Lease,
        ticket: Ticket,
        answer: Answer,
        random: u64,
        now: Nanos,
    ) -> Step<Refusal> {
        self.deny(lease, ticket, answer, true, random, now)
    }

    /// The service has refused a call with several descriptors, and does not say whether because of this one. Nothing is
    /// remembered.
    pub fn refused_together(
        &self,
        lease: Lease,
        ticket: Ticket,
        answer: Answer,
        now: Nanos,
    ) -> Step<Refusal> {
        self.deny(lease, ticket, answer, false, 0, now)
    }

    fn deny(
        &self,
        lease: Lease,
        ticket: Ticket,
        answer: Answer,
        is_named: bool,
        random: u64,
        now: Nanos,
    ) -> Step<Refusal> {
        let (mut lease, wasted) = self.at(lease, now);
        let bounds = self.bounds(ticket, answer, now);
        let is_known = Self::unmark(&mut lease, ticket);
        let is_same = lease.is_live(now) && lease.lot == ticket.window;
        let jitter = backoff::fraction((bounds.unit / JITTER).min(Nanos::SECOND), random);
        let ends = bounds.resets + jitter;
        let mut until = now + ROUNDING.min(ends - now);
        if is_known {
            lease.is_local = false;
            lease.limit = answer.limit.or(lease.limit);
            // With the limit, a window is known, even if the answer is not about this one.
            if lease.resets == Nanos::ZERO {
                lease.resets = bounds.resets;
            }
        }
        // Without windows, a debt that does not fit now may fit as soon as others return what they hold.
        let is_remembered = is_named && (!self.holds || ticket.owed == 0);
        if is_known && is_remembered && (bounds.is_certain || is_same) {
            let refused = match ticket.owed {
                0 => ticket.hits,
                // Less would fit only because the service does not know the debt.
                _ => 1,
            };
            // Slowly again, in the next window.
            lease.size = 1;
            lease.denied = Some(lease.denied.map_or(refused, |denied| denied.min(refused)));
            lease.remaining = answer.remaining;
            lease.resets = ends;
            until = ends;
        }
        let is_partial = ticket.cost > 0 && ticket.hits > ticket.cost && ticket.owed == 0;
        let outcome = match is_partial && is_known {
            true => Refusal::AskLess(self.ticket(&mut lease, ticket.cost, ticket.cost, now)),
            false => Refusal::Denied { until },
        };
        Step {
            lease,
            outcome,
            wasted,
        }
    }

    /// The call has failed: no answer in time, or one that cannot be read. Whether the service has counted it is
    /// unknown; its tokens are lost.
    pub fn failed(&self, lease: Lease, ticket: Ticket, now: Nanos) -> Step<()> {
        self.step(lease, now, |lease| {
            Self::unmark(lease, ticket);
        })
    }
}
