//! The check of a limit of a fleet, and the calls that it leads to.

use std::sync::Arc;

use portcullis_core::config::Mode;
use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, Store};
use smallvec::{SmallVec, smallvec};

use super::call::{Call, Counted, Hits, Part, Request};
use super::pending::{InFleet, Open};
use super::services::{FleetEvent, ServiceId, Services};
use crate::LimitId;
use crate::check::{Check, Decision, Origin, Reason, Reservation};
use crate::evaluate::Round;
use crate::fleet::config::Protocol;
use crate::fleet::lease::{Step, Take, Taken};
use crate::fleet::messages::{Descriptor, encode_request};
use crate::fleet::reserve::{encode_reserve, encode_target};

/// What a request waits for under one limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(super) counted: Counted,
    /// When it waits no longer.
    pub(super) deadline: Nanos,
    /// `None`: the answer to another one's call.
    pub(super) hits: Option<Hits>,
}

impl<S: Store, H: Services> Round<'_, '_, S, H> {
    /// Checks a limit of a fleet. `is_inspected`: an earlier limit denies the request, so nothing must be taken.
    pub(crate) fn check_fleet(&mut self, counted: Counted, is_inspected: bool) -> Check {
        let admitted = Check::of(counted, Decision::Admitted, Nanos::ZERO);
        let Some(fleet) = self.ledger.policy.fleet(counted.limit) else {
            return admitted;
        };
        let deadline = self.started + fleet.timeout;
        let (service, is_lease) = (fleet.service, fleet.leases.is_some());
        if is_lease {
            return self.take(counted, is_inspected, deadline);
        }
        if counted.cost == 0 || is_inspected {
            return admitted;
        }
        if !self.ledger.can_ask(service) {
            return self.ledger.outage(counted);
        }
        self.asks.push(Ask {
            counted,
            deadline,
            hits: Some(Hits::Each(counted.cost)),
        });
        admitted
    }

    /// Takes tokens of a lease.
    pub(super) fn take(&mut self, counted: Counted, is_inspected: bool, deadline: Nanos) -> Check {
        let Some(fleet) = self.ledger.policy.fleet(counted.limit) else {
            return Check::of(counted, Decision::Admitted, Nanos::ZERO);
        };
        let service = fleet.service;
        let can_ask = !is_inspected && self.ledger.can_ask(service);
        let (since, now, cost) = (self.started, self.ledger.now, counted.cost);
        let taken = self.ledger.lease(counted, |leases, lease| {
            let step = leases.take(lease, cost, can_ask, since, now);
            match is_inspected {
                true => Step {
                    lease,
                    wasted: 0,
                    ..step
                },
                false => step,
            }
        });
        let (take, quota) = match taken {
            Ok(changed) => (changed.outcome, changed.quota),
            Err(GaveUp) => return self.ledger.policy.not_counted(counted),
        };
        let admitted = Check {
            quota,
            ..Check::of(counted, Decision::Admitted, Nanos::ZERO)
        };
        match take {
            Take::Taken(_) if is_inspected => admitted,
            Take::Taken(taken) => with_tokens(admitted, counted, taken),
            Take::TakenAndRenew(taken, ticket) => {
                let part = Part {
                    counted,
                    hits: Hits::Lease(ticket),
                };
                match self.ledger.claim(service) {
                    true => self.call(service, smallvec![part], false),
                    false => self.ledger.fail(counted, ticket),
                }
                with_tokens(admitted, counted, taken)
            }
            Take::Ask(ticket) => {
                self.asks.push(Ask {
                    counted,
                    deadline,
                    hits: Some(Hits::Lease(ticket)),
                });
                admitted
            }
            Take::WaitForOther { .. } => {
                self.asks.push(Ask {
                    counted,
                    deadline,
                    hits: None,
                });
                admitted
            }
            Take::Denied { until } => {
                let event = FleetEvent::CachedDenial;
                self.ledger.services.count(counted.limit, event);
                Check {
                    quota,
                    ..Check::of(counted, Decision::Denied(Reason::RateLimited), until - now)
                }
            }
            Take::NoService if is_inspected => admitted,
            Take::NoService => self.ledger.outage(counted),
        }
    }

    /// Makes the calls of a request that passes so far, or decides without the service. Returns whether the request is
    /// denied now; then nothing is asked.
    pub(crate) fn place(
        &mut self,
        mut is_denied: bool,
        checks: &mut [Check],
        waiting: &mut InFleet,
    ) -> bool {
        // No request waits then, and its calls are made at the end.
        if !is_denied && self.ledger.policy.mode == Mode::Shadow {
            return false;
        }
        let asks = std::mem::take(&mut self.asks);
        let mut claims: SmallVec<[(ServiceId, bool); 1]> = SmallVec::new();
        let mut calls = Vec::new();
        for ask in asks {
            let counted = ask.counted;
            let Some(fleet) = self.ledger.policy.fleet(counted.limit) else {
                continue;
            };
            let service = fleet.service;
            match ask.hits {
                None if is_denied => {}
                None => waiting.others.push((counted, ask.deadline)),
                Some(hits) if is_denied => self.ledger.fail_hits(counted, hits),
                Some(hits) => {
                    let known = claims.iter().find(|(other, _)| *other == service);
                    let may_call = known.map(|(_, claimed)| *claimed).unwrap_or_else(|| {
                        let claimed = self.ledger.claim(service);
                        claims.push((service, claimed));
                        claimed
                    });
                    match may_call {
                        true => calls.push((service, hits, ask)),
                        false => {
                            self.ledger.fail_hits(counted, hits);
                            let check = self.ledger.outage(counted);
                            is_denied |= replace(checks, check);
                        }
                    }
                }
            }
        }
        if is_denied {
            for (_, hits, ask) in calls {
                self.ledger.fail_hits(ask.counted, hits);
            }
            return true;
        }
        while let Some((service, _, Ask { deadline, .. })) = calls.first().copied() {
            let is_single = self.protocol(service) == Protocol::Reserve
                || self.ledger.services.state(service).is_terse;
            let mut parts = SmallVec::new();
            calls.retain(|(other, hits, ask)| {
                let joins = *other == service && (parts.is_empty() || !is_single);
                if joins {
                    parts.push(Part {
                        counted: ask.counted,
                        hits: *hits,
                    });
                }
                !joins
            });
            self.call(service, parts, true);
            if let Some(call) = self.calls.last() {
                waiting.open.push(Open {
                    call: Arc::clone(call),
                    deadline,
                });
            }
        }
        false
    }

    /// Makes calls that no request waits for.
    pub(crate) fn place_in_shadow(&mut self) {
        for Ask { counted, hits, .. } in std::mem::take(&mut self.asks) {
            let (Some(hits), Some(fleet)) = (hits, self.ledger.policy.fleet(counted.limit)) else {
                continue;
            };
            let service = fleet.service;
            match self.ledger.claim(service) {
                true => self.call(service, smallvec![Part { counted, hits }], false),
                false => self.ledger.fail_hits(counted, hits),
            }
        }
    }

    /// Ends the waiting of a request that is denied.
    pub(crate) fn leave(&mut self, waiting: &mut InFleet) {
        for open in std::mem::take(&mut waiting.open) {
            self.ledger.leave(&open.call);
        }
        waiting.others.clear();
    }

    /// Counts the limits for which a request begins to wait.
    pub(crate) fn count_waits(&mut self, waiting: &InFleet) {
        let limits: SmallVec<[LimitId; 2]> = waiting.limits().collect();
        for limit in limits {
            self.ledger.services.count(limit, FleetEvent::Waited);
        }
    }

    fn protocol(&self, service: ServiceId) -> Protocol {
        let service = self.ledger.policy.service(service);
        service.map(|it| it.protocol()).unwrap_or_default()
    }

    /// Puts a call on the list of those to send. One that reserves has one part.
    fn call(&mut self, service: ServiceId, parts: SmallVec<[Part; 1]>, is_awaited: bool) {
        let policy = self.ledger.policy;
        let descriptors: Vec<Descriptor<'_>> = parts
            .iter()
            .map(|part| {
                let limit = policy.get(part.counted.limit).map(|it| &it.limit);
                let entries = limit.and_then(|limit| {
                    let fleet = limit.fleet.as_ref()?;
                    Some(fleet.entries(&limit.key, self.request))
                });
                Descriptor {
                    entries: entries.unwrap_or_default(),
                    hits: part.hits.count(),
                }
            })
            .collect();
        let domain = policy.service(service).map(|it| it.domain());
        let domain = domain.unwrap_or_default();
        let protocol = self.protocol(service);
        let request = match (protocol, &descriptors[..], &parts[..]) {
            (Protocol::Reserve, [descriptor], [part]) => {
                let target = encode_target(domain, &descriptor.entries);
                let ttl = policy.ttl(part.counted.limit);
                Request {
                    protocol,
                    message: encode_reserve(&target, descriptor.hits, ttl),
                    target: target.len(),
                }
            }
            _ => Request {
                protocol: Protocol::Envoy,
                message: encode_request(domain, &descriptors),
                target: 0,
            },
        };
        let call = Call::new(service, request, parts, is_awaited, self.ledger.now);
        self.calls.push(Arc::new(call));
    }
}

fn with_tokens(admitted: Check, counted: Counted, taken: Taken) -> Check {
    Check {
        reservation: Some(Reservation {
            key: counted.key,
            cost: taken.cost,
            origin: Origin::Lease(taken.lot),
        }),
        ..admitted
    }
}

/// Replaces the check of a limit. Returns whether it denies the request.
pub(super) fn replace(checks: &mut [Check], check: Check) -> bool {
    let is_denied = matches!(check.decision, Decision::Denied(_));
    if let Some(old) = checks.iter_mut().find(|old| old.limit == check.limit) {
        *old = check;
    }
    is_denied
}
