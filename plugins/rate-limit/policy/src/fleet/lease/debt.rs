//! What passes without the service.

use portcullis_core::time::Nanos;

use super::{Lease, Leases, ROUNDING, Step};

/// A cost that was admitted without the service, so that it can be [forgiven](Leases::forgive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Whether it may belong to the next window.
    is_late: bool,
    /// The state's number of payments then.
    payments: u8,
}

/// What may pass without the service in the window of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The hits of a window.
    pub limit: u32,
    /// The part of them that is left.
    pub left: u32,
    /// When the window ends.
    pub ends: Nanos,
}

/// What the local limiter gets when it takes over a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// What it must count as used at least, the first time.
    pub used: Option<u32>,
    /// What may pass, whatever the local limiter admits.
    pub room: Room,
}

/// Whether a cost fits without the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The cost as a debt. `None` if it does not fit.
    pub debt: Option<Debt>,
    /// What may pass afterwards.
    pub room: Room,
}

impl Leases {
    /// Counts a cost that was admitted without tokens. It is paid with tokens that are left, and the rest is a debt
    /// for the next call.
    pub fn owe(&self, lease: Lease, cost: u32, now: Nanos) -> Step<Room> {
        self.step(lease, now, |lease| {
            self.add(lease, cost, now);
            self.room(lease, now)
        })
    }

    fn add(&self, lease: &mut Lease, cost: u32, now: Nanos) -> Debt {
        lease.resets = self.end_of_window(lease, now);
        let paid = cost.min(lease.tokens);
        lease.tokens -= paid;
        let ends_soon = lease.resets - now <= self.uncertain(lease);
        // A lease dies before its window ends.
        let is_late = lease.limit.is_none() || ends_soon && !lease.is_live(now);
        let debt = match is_late {
            true => &mut lease.owed_late,
            false => &mut lease.owed,
        };
        *debt = debt.saturating_add(cost - paid);
        Debt {
            is_late,
            payments: lease.payments,
        }
    }

    /// Admits a cost without the service, as a debt for the next call, if that fits into the window.
    pub fn admit(&self, lease: Lease, cost: u32, now: Nanos) -> Step<Admission> {
        self.step(lease, now, |lease| {
            let fits = cost <= self.room(lease, now).left;
            Admission {
                debt: fits.then(|| self.add(lease, cost, now)),
                room: self.room(lease, now),
            }
        })
    }

    /// Takes back a part of a debt that was made at `owed_at`: the request did not pass, or cost less.
    ///
    /// If the debt was paid meanwhile, the service has counted too much, and the others of that window become smaller.
    pub fn forgive(
        &self,
        lease: Lease,
        debt: Debt,
        cost: u32,
        owed_at: Nanos,
        now: Nanos,
    ) -> Step<Room> {
        self.step(lease, now, |lease| {
            let age = lease.resets - owed_at;
            let is_late = debt.is_late && debt.payments == lease.payments;
            let mut cost = cost;
            if is_late && age <= self.per {
                let late = cost.min(lease.owed_late);
                lease.owed_late -= late;
                cost -= late;
            }
            // In the window after its own, a late debt is one like others.
            let longer = match is_late {
                true => self.uncertain(lease),
                false => Nanos::ZERO,
            };
            if now < lease.resets && age <= self.per + longer {
                lease.owed = lease.owed.saturating_sub(cost);
            }
            self.room(lease, now)
        })
    }

    /// Hands the key over to the local limiter, until the service answers again. The first time, it says what the
    /// local limiter must count as used: everything that was counted in this window.
    pub fn go_local(&self, lease: Lease, now: Nanos) -> Step<Local> {
        self.step(lease, now, |lease| {
            let is_first = !std::mem::replace(&mut lease.is_local, true);
            let limit = self.limit(lease);
            let used = match (lease.denied, lease.remaining) {
                (Some(_), _) => limit,
                (None, Some(remaining)) => limit.saturating_sub(remaining),
                (None, None) => 0,
            };
            let used = used.saturating_add(Self::debt_of_window(lease));
            Local {
                used: is_first.then_some(used),
                room: self.room(lease, now),
            }
        })
    }

    /// What may pass without the service, besides tokens: at most what the service had left, or in a window that it
    /// has not answered in, the limit.
    fn room(&self, lease: &Lease, now: Nanos) -> Room {
        let limit = self.limit(lease);
        let most = match lease.denied {
            Some(_) => 0,
            None => lease.remaining.unwrap_or(limit),
        };
        let left = most.saturating_sub(Self::debt_of_window(lease));
        Room {
            limit,
            left: left.saturating_add(lease.tokens),
            ends: self.end_of_window(lease, now),
        }
    }

    fn limit(&self, lease: &Lease) -> u32 {
        lease.limit.unwrap_or(self.requests)
    }

    /// The debt that counts in this window. While windows are unknown, the service gets that of the last two.
    fn debt_of_window(lease: &Lease) -> u32 {
        match lease.limit {
            Some(_) => lease.debt(),
            None => lease.owed_late,
        }
    }

    /// How long before the end of a window the next one may have begun. Without an answer, nothing is known.
    fn uncertain(&self, lease: &Lease) -> Nanos {
        match lease.limit {
            Some(_) => ROUNDING * 2 + self.timeout,
            None => self.per,
        }
    }

    /// The end of the window at `now`: windows follow the last one that is known. Without any, they follow the clock,
    /// from 0 on, as those of envoyproxy/ratelimit do.
    fn end_of_window(&self, lease: &Lease, now: Nanos) -> Nanos {
        let resets = lease.resets;
        if now < resets {
            return resets;
        }
        let windows = (now - resets).get() / self.per.get().max(1);
        resets + self.per * windows.saturating_add(1)
    }
}
