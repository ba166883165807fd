//! Evaluations that wait for a service.

use std::sync::Arc;

use portcullis_core::key::Request;
use portcullis_core::time::Nanos;
use portcullis_table::Store;
use smallvec::SmallVec;

use super::additions::Additions;
use super::call::{Call, Counted, Hits, PartResult};
use super::check::{Ask, replace};
use super::ledger::Ledger;
use super::services::{ServiceId, Services};
use crate::check::{Check, Decision, Origin, Reason, Reservation};
use crate::evaluate::{Evaluation, Round};
use crate::{LimitId, RateLimit};

/// The `Retry-After` of a request whose time was over before the service could be asked for less.
const WAIT_WHEN_LATE: Nanos = Nanos::SECOND;

/// The part of an evaluation that concerns services.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFleet {
    /// The calls to send.
    pub(crate) calls: Vec<Arc<Call>>,
    /// The calls whose answers the request waits for.
    pub(super) open: Vec<Open>,
    /// The keys for which the request waits for another one's call, with the end of the wait.
    pub(super) others: Vec<(Counted, Nanos)>,
    pub(crate) additions: Vec<Additions>,
}

/// A call whose answer a request waits for.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) call: Arc<Call>,
    /// When the request waits no longer.
    pub(super) deadline: Nanos,
}

impl InFleet {
    pub(crate) fn is_pending(&self) -> bool {
        !self.open.is_empty() || !self.others.is_empty()
    }

    /// The limits that the request waits for.
    pub(super) fn limits(&self) -> impl Iterator<Item = LimitId> {
        let calls = self.open.iter().flat_map(|open| &open.call.parts);
        let others = self.others.iter().map(|(counted, _)| counted.limit);
        calls.map(|part| part.counted.limit).chain(others)
    }
}

impl Evaluation {
    /// Whether the request waits: neither admitted nor denied.
    pub fn is_pending(&self) -> bool {
        self.fleet.as_ref().is_some_and(|it| it.is_pending())
    }

    /// The latest time at which a pending evaluation must be [resumed](RateLimit::resume).
    pub fn deadline(&self) -> Option<Nanos> {
        let fleet = self.fleet.as_ref()?;
        let calls = fleet.open.iter().map(|open| open.deadline);
        let others = fleet.others.iter().map(|(_, deadline)| *deadline);
        calls.chain(others).min()
    }

    /// Whether it waits for a call of another request. No answer announces the end of that, so it must be resumed every
    /// few milliseconds.
    pub fn waits_for_others(&self) -> bool {
        self.fleet.as_ref().is_some_and(|it| !it.others.is_empty())
    }

    /// The calls to make, each once. Most are for the request, others only in its time.
    pub fn take_calls(&mut self) -> Vec<Arc<Call>> {
        let fleet = self.fleet.as_mut();
        fleet.map_or_else(Vec::new, |fleet| std::mem::take(&mut fleet.calls))
    }
}

impl RateLimit {
    /// Goes on with a pending evaluation of the same request. It may be pending afterwards as well, with calls to make.
    pub fn resume<S: Store, H: Services>(
        &self,
        mut evaluation: Evaluation,
        request: &Request<'_>,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> Evaluation {
        let Some(mut waiting) = evaluation.fleet.take().filter(|it| it.is_pending()) else {
            return evaluation;
        };
        let started = evaluation.evaluated_at;
        let mut round = Round::new(self, request, started, now, store, services);
        let checks = &mut evaluation.checks;
        let mut is_denied = false;
        for open in std::mem::take(&mut waiting.open) {
            let Open { call, deadline } = &open;
            let reception = match now < *deadline {
                true => call.receive(),
                false => call.leave(),
            };
            let counted = call.parts.iter().map(|part| part.counted);
            match reception {
                Some(reception) => {
                    for (counted, result) in counted.zip(reception.results) {
                        let check = round.received(counted, result, *deadline);
                        is_denied |= replace(checks, check);
                    }
                    let additions = reception.additions.map(|it| *it);
                    waiting.additions.extend(additions);
                }
                None if now < *deadline => waiting.open.push(open),
                None => {
                    for counted in counted {
                        let check = round.ledger.outage(counted);
                        is_denied |= replace(checks, check);
                    }
                }
            }
        }
        for (counted, deadline) in std::mem::take(&mut waiting.others) {
            let check = match now < deadline {
                true => round.take(counted, is_denied, deadline),
                false => round.ledger.outage(counted),
            };
            is_denied |= replace(checks, check);
        }
        evaluation.is_denied = is_denied;
        evaluation.fleet = Some(waiting);
        round.proceed(&mut evaluation);
        evaluation
    }

    /// The services that an evaluation waits for, each once.
    pub fn awaited(&self, evaluation: &Evaluation) -> SmallVec<[ServiceId; 1]> {
        let mut services = SmallVec::new();
        let limits = evaluation.fleet.iter().flat_map(|fleet| fleet.limits());
        for fleet in limits.filter_map(|limit| self.fleet(limit)) {
            if !services.contains(&fleet.service) {
                services.push(fleet.service);
            }
        }
        services
    }

    /// Ends a pending evaluation whose request has gone, and gives back everything. Others do not change.
    pub fn cancel<S: Store, H: Services>(
        &self,
        evaluation: &mut Evaluation,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) {
        let Some(waiting) = evaluation.fleet.take_if(|it| it.is_pending()) else {
            return;
        };
        let mut ledger = Ledger {
            policy: self,
            now,
            store,
            services,
        };
        for open in waiting.open {
            ledger.leave(&open.call);
        }
        for check in &mut evaluation.checks {
            ledger.roll_back(check, evaluation.evaluated_at);
        }
    }
}

impl<S: Store, H: Services> Round<'_, '_, S, H> {
    /// The check of a limit for which an answer has arrived.
    fn received(&mut self, counted: Counted, result: PartResult, deadline: Nanos) -> Check {
        match result {
            PartResult::Granted { taken, quota } => {
                let is_lease = self
                    .ledger
                    .policy
                    .fleet(counted.limit)
                    .is_some_and(|fleet| fleet.leases.is_some());
                let origin = match is_lease {
                    true => Origin::Lease(taken.lot),
                    false => Origin::Service,
                };
                Check {
                    quota,
                    reservation: Some(Reservation {
                        key: counted.key,
                        cost: taken.cost,
                        origin,
                    }),
                    ..Check::of(counted, Decision::Admitted, Nanos::ZERO)
                }
            }
            PartResult::Denied { wait, quota } => Check {
                quota,
                ..Check::of(counted, Decision::Denied(Reason::RateLimited), wait)
            },
            PartResult::AskLess(ticket) if self.ledger.now < deadline => {
                self.asks.push(Ask {
                    counted,
                    deadline,
                    hits: Some(Hits::Lease(ticket)),
                });
                Check::of(counted, Decision::Admitted, Nanos::ZERO)
            }
            // The service is there, and has said that little is left.
            PartResult::AskLess(ticket) => {
                self.ledger.fail(counted, ticket);
                let decision = Decision::Denied(Reason::RateLimited);
                Check::of(counted, decision, WAIT_WHEN_LATE)
            }
            PartResult::Failed => self.ledger.outage(counted),
        }
    }
}
