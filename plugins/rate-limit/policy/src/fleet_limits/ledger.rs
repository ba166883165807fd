//! What changes tokens and counts.

use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, Store, TableEvents};

use super::call::{Call, Counted, Hits, PartResult, Reception};
use super::services::{FleetEvent, Services};
use crate::RateLimit;
use crate::check::{Check, Decision, Origin, Reason, Reservation};
use crate::evaluate::WAIT_WHEN_UNAVAILABLE;
use crate::fleet::config::OnOutage;
use crate::fleet::lease::{Debt, Lease, Leases, Room, Step, Taken, Ticket};
use crate::limiter::{Action, LimitEvents, Quota};

/// The states of limits and services at a time.
pub(crate) struct Ledger<'a, S, H> {
    pub(crate) policy: &'a RateLimit,
    pub(crate) now: Nanos,
    pub(crate) store: &'a mut S,
    pub(crate) services: &'a mut H,
}

/// What an operation on a lease did.
pub(super) struct Changed<T> {
    pub(super) outcome: T,
    pub(super) quota: Option<Quota>,
    wasted: u32,
}

impl<S: Store, H: Services> Ledger<'_, S, H> {
    /// Applies an operation to the lease of a key.
    pub(super) fn lease<T>(
        &mut self,
        counted: Counted,
        operation: impl Fn(&Leases, Lease) -> Step<T>,
    ) -> Result<Changed<T>, GaveUp> {
        let (now, key) = (self.now, counted.key);
        let fleet = self.policy.fleet(counted.limit).ok_or(GaveUp)?;
        let leases = fleet.leases.as_ref().ok_or(GaveUp)?;
        let block = key.block(fleet.blocks);
        let applied = self.store.update(fleet.table, block, |block| {
            leases.apply(block, key.tag(), now, |lease| {
                let step = operation(leases, lease);
                Step {
                    lease: step.lease,
                    outcome: (step.outcome, leases.quota(step.lease, now)),
                    wasted: step.wasted,
                }
            })
        })?;
        let (outcome, quota) = applied.outcome;
        if applied.wasted > 0 {
            let event = FleetEvent::Wasted(applied.wasted);
            self.services.count(counted.limit, event);
        }
        if let Some(ended) = applied.ended {
            let event = FleetEvent::Ended(ended);
            self.services.count(counted.limit, event);
        }
        if applied.events != TableEvents::default() {
            let event = FleetEvent::Table(applied.events);
            self.services.count(counted.limit, event);
        }
        Ok(Changed {
            outcome,
            quota: quota.map(Quota::of_service),
            wasted: applied.wasted,
        })
    }

    /// Returns tokens that a request took.
    pub(crate) fn give_back(&mut self, counted: Counted, taken: Taken) -> Option<Quota> {
        if taken.cost == 0 {
            return None;
        }
        let now = self.now;
        let given = self.lease(counted, |leases, lease| leases.give_back(lease, taken, now));
        let Ok(given) = given else {
            // In the mode `each`, there is nothing to return them to.
            let event = FleetEvent::Wasted(taken.cost);
            self.services.count(counted.limit, event);
            return None;
        };
        let returned = taken.cost.saturating_sub(given.wasted);
        if returned > 0 {
            let event = FleetEvent::Returned(returned);
            self.services.count(counted.limit, event);
        }
        given.quota
    }

    /// Counts a cost that was admitted without tokens.
    pub(super) fn owe(&mut self, counted: Counted) -> Option<Changed<Room>> {
        let (now, cost) = (self.now, counted.cost);
        let owed = self.lease(counted, |leases, lease| leases.owe(lease, cost, now));
        owed.ok()
    }

    /// Takes back a debt, or a part of it, of a request that began at `owed_at`.
    fn forgive(&mut self, counted: Counted, debt: Option<Debt>, owed_at: Nanos) -> Option<Room> {
        let (now, cost, debt) = (self.now, counted.cost, debt?);
        let forgiven = self.lease(counted, |leases, lease| {
            leases.forgive(lease, debt, cost, owed_at, now)
        });
        Some(forgiven.ok()?.outcome)
    }

    /// Reports a call for a lease that was not made, or has failed. If the state cannot be written, its mark expires.
    pub(super) fn fail(&mut self, counted: Counted, ticket: Ticket) {
        let now = self.now;
        let _ = self.lease(counted, |leases, lease| leases.failed(lease, ticket, now));
    }

    /// The same for any call.
    pub(super) fn fail_hits(&mut self, counted: Counted, hits: Hits) {
        if let Hits::Lease(ticket) = hits {
            self.fail(counted, ticket);
        }
    }

    /// Ends a call for a request that no longer waits for it.
    pub(super) fn leave(&mut self, call: &Call) {
        if let Some(reception) = call.leave() {
            self.dispose(call, &reception, false);
        }
    }

    /// Gives back what an answer brings that no request waits for. `is_used`: one has passed with it.
    pub(super) fn dispose(&mut self, call: &Call, reception: &Reception, is_used: bool) {
        for (part, result) in call.parts.iter().zip(&reception.results) {
            match *result {
                PartResult::Granted { taken, .. } if !is_used => {
                    self.give_back(part.counted, taken);
                }
                PartResult::AskLess(ticket) => self.fail(part.counted, ticket),
                _ => {}
            }
        }
    }

    /// Decides about a request without the service.
    pub(super) fn outage(&mut self, counted: Counted) -> Check {
        let decided = self.policy.fleet(counted.limit).map(|it| it.on_outage);
        let on_outage = decided.unwrap_or_default();
        self.services
            .count(counted.limit, FleetEvent::Outage(on_outage));
        match on_outage {
            OnOutage::Allow => Check {
                is_outage: true,
                ..Check::of(counted, Decision::Uncounted, Nanos::ZERO)
            },
            OnOutage::Deny => {
                let decision = Decision::Denied(Reason::Unavailable);
                Check {
                    is_outage: true,
                    ..Check::of(counted, decision, WAIT_WHEN_UNAVAILABLE)
                }
            }
            OnOutage::Local => self.count_locally(counted),
        }
    }

    /// Both the limit's algorithm and what is left of the service's window must admit the request. The second is exact;
    /// the first can lack what other workers count while this one hands the key over.
    fn count_locally(&mut self, counted: Counted) -> Check {
        let (now, cost) = (self.now, counted.cost);
        let gone = self.lease(counted, |leases, lease| leases.go_local(lease, now));
        if let Ok(Changed { outcome: local, .. }) = gone {
            if let Some(used @ 1..) = local.used {
                self.policy.raise_to(counted, used, now, self.store);
            }
            if cost > local.room.left {
                return self.no_room(counted, local.room);
            }
        }
        let (policy, store) = (self.policy, &mut *self.store);
        let mut check = policy.check_local(counted, Action::Reserve, now, store);
        let Some(reservation) = &mut check.reservation else {
            return check;
        };
        reservation.origin = Origin::Outage(None);
        // In the mode `each`, there is nothing to owe it to.
        let admitted = self.lease(counted, |leases, lease| leases.admit(lease, cost, now));
        let Ok(Changed { outcome, .. }) = admitted else {
            return check;
        };
        let room = outcome.room;
        if outcome.debt.is_none() {
            // Other workers were faster.
            self.roll_back(&mut check, now);
            return Check {
                events: check.events,
                ..self.no_room(counted, room)
            };
        }
        reservation.origin = Origin::Outage(outcome.debt);
        let quota = Quota::of_room(room, now);
        check.quota = check.quota.map(|local| local.or_tighter(quota));
        check
    }

    fn no_room(&self, counted: Counted, room: Room) -> Check {
        let wait = room.ends - self.now;
        Check {
            quota: Some(Quota::of_room(room, self.now)),
            ..Check::of(counted, Decision::Denied(Reason::RateLimited), wait)
        }
    }

    /// Rolls back the reservation of a request that does not pass, in an evaluation that began at `spent_at`.
    pub(crate) fn roll_back(&mut self, check: &mut Check, spent_at: Nanos) {
        if check.decision == Decision::Admitted {
            check.decision = Decision::Released;
        }
        if let Some(reservation @ Reservation { cost: 1.., .. }) = check.reservation.take()
            && let Some(quota) = self.refund(check, reservation, spent_at)
        {
            check.quota = Some(quota);
        }
    }

    /// Charges or refunds the difference between a reservation, made at `spent_at`, and the actual cost. Returns the
    /// effects on the limit's own table.
    pub(crate) fn charge(
        &mut self,
        check: &mut Check,
        reserved: Reservation,
        actual: u32,
        spent_at: Nanos,
    ) -> Option<LimitEvents> {
        let difference = Reservation {
            cost: actual.abs_diff(reserved.cost),
            ..reserved
        };
        let counted = difference.counted(check);
        let is_more = actual > reserved.cost;
        let room = match (reserved.origin, is_more) {
            (Origin::Outage(debt), false) => self.forgive(counted, debt, spent_at),
            (Origin::Local, _) | (_, false) => None,
            (_, true) => self.owe(counted).map(|owed| {
                check.quota = owed.quota.or(check.quota);
                owed.outcome
            }),
        };
        let result = match reserved.origin {
            Origin::Local | Origin::Outage(_) => {
                let action = match is_more {
                    true => Action::Charge,
                    false => Action::Refund { spent_at },
                };
                let (policy, store) = (self.policy, &mut *self.store);
                policy.adjust(check, action, difference, self.now, store)
            }
            Origin::Lease(_) | Origin::Service => {
                if !is_more {
                    let quota = self.refund(check, difference, spent_at);
                    check.quota = quota.or(check.quota);
                }
                return None;
            }
        };
        let result = result.ok()?;
        let room = room.map(|room| Quota::of_room(room, self.now));
        check.quota = Some(room.map_or(result.quota, |room| result.quota.or_tighter(room)));
        Some(result.events)
    }

    /// Returns a reserved cost, which was counted at `spent_at`. Returns the quota after that, if it is known.
    fn refund(
        &mut self,
        check: &Check,
        reservation: Reservation,
        spent_at: Nanos,
    ) -> Option<Quota> {
        let counted = reservation.counted(check);
        match reservation.origin {
            Origin::Lease(lot) => {
                let taken = Taken {
                    cost: reservation.cost,
                    lot,
                };
                self.give_back(counted, taken)
            }
            Origin::Service => {
                let event = FleetEvent::Wasted(reservation.cost);
                self.services.count(check.limit, event);
                None
            }
            Origin::Local | Origin::Outage(_) => {
                let refund = Action::Refund { spent_at };
                let (policy, store) = (self.policy, &mut *self.store);
                let result = policy.adjust(check, refund, reservation, self.now, store);
                if let Origin::Outage(debt) = reservation.origin {
                    self.forgive(counted, debt, spent_at);
                }
                result.ok().map(|result| result.quota)
            }
        }
    }
}
