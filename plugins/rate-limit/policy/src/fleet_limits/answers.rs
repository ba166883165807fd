//! Answers of services.

use std::sync::Arc;

use portcullis_core::time::Nanos;
use portcullis_table::Store;
use smallvec::{SmallVec, smallvec};

use super::additions::Additions;
use super::call::{Call, Counted, Hits, Part, PartResult, Reception};
use super::holds::{Granted, Hold};
use super::ledger::{Changed, Ledger};
use super::services::{CallResult, FleetEvent, Services};
use crate::fleet::config::Protocol;
use crate::fleet::lease::{Answer, Grant, Life, Refusal, Taken, Verdict};
use crate::fleet::messages::{Code, Response};
use crate::fleet::reserve::Reservation;
use crate::limiter::Quota;
use crate::{LimitId, RateLimit};

/// A timer of the host can fire this much too early: its clock advances with the ticks of the kernel.
const TIMER_PRECISION: Nanos = Nanos::from_millis(10);

/// Who must go on after an answer.
#[derive(Debug, Default)]
pub struct Effect {
    /// The request that waits for the call.
    pub wakes_caller: bool,
    /// Requests that wait for a call of another one.
    pub wakes_others: bool,
    /// Headers of the answer that cannot be sent.
    pub invalid_headers: usize,
    /// Whether the service is out now, if that has changed.
    pub is_out: Option<bool>,
    /// What the service holds from now on, for the host to keep until it is [due](Hold::due).
    pub hold: Option<Hold>,
}

/// What a service has decided.
struct Decided {
    /// By part.
    answers: SmallVec<[(Verdict, Answer); 1]>,
    response: Response,
    /// Of an amount that is held.
    id: Option<String>,
}

impl RateLimit {
    /// Accounts for the answer to a call, an encoded `RateLimitResponse`; `Err` if there is none. Only the first report
    /// of a call counts. `random` is any number, evenly distributed.
    pub fn on_answer<S: Store, H: Services, E>(
        &self,
        call: &Arc<Call>,
        answer: Result<&[u8], E>,
        random: u64,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> Effect {
        if !call.report() {
            return Effect::default();
        }
        let mut ledger = Ledger {
            policy: self,
            now,
            store,
            services,
        };
        let decided = answer.ok().and_then(|bytes| match call.protocol {
            Protocol::Envoy => decide(bytes, call.parts.len()),
            Protocol::Reserve => decide_reservation(bytes, self.ttl_of(call)),
        });
        let is_terse = decided
            .as_ref()
            .map(|decided| decided.response.statuses.is_empty());
        let is_out = ledger.report_health(call.service, call.asked_at, is_terse, random);
        let mut effect = Effect {
            wakes_caller: true,
            wakes_others: call
                .parts
                .iter()
                .any(|part| matches!(part.hits, Hits::Lease(_))),
            invalid_headers: 0,
            is_out,
            hold: None,
        };
        let reception = match decided {
            Some(Decided {
                answers,
                response,
                id,
            }) => {
                let mut granted = None;
                let parts = call.parts.iter().zip(answers);
                let results = parts.map(|(part, (verdict, answer))| {
                    let (result, added) = ledger.answered(part, verdict, answer, random);
                    granted = added;
                    result
                });
                let results = results.collect();
                effect.hold = id
                    .zip(granted)
                    .map(|(id, granted)| Hold::new(call, id, granted, self));
                effect.invalid_headers = response.invalid_headers;
                Reception {
                    results,
                    additions: Additions::of(response),
                }
            }
            None => {
                for part in &call.parts {
                    ledger.failed(call, part);
                }
                Reception {
                    results: call.parts.iter().map(|_| PartResult::Failed).collect(),
                    additions: None,
                }
            }
        };
        if let Some((reception, is_used)) = call.answer(reception) {
            let returned = effect
                .hold
                .as_mut()
                .is_some_and(|hold| !is_used && hold.cancel());
            if !returned {
                ledger.dispose(call, &reception, is_used);
            }
            effect.wakes_caller = false;
        }
        effect
    }

    pub(super) fn ttl_of(&self, call: &Call) -> Nanos {
        let part = call.parts.first();
        part.map_or(Nanos::ZERO, |part| self.ttl(part.counted.limit))
    }
}

fn decide(bytes: &[u8], parts: usize) -> Option<Decided> {
    let response = Response::decode(bytes, parts).ok()?;
    let answers = (0..parts).map(|index| Answer::of(&response, index, parts));
    Some(Decided {
        answers: answers.collect::<Option<_>>()?,
        response,
        id: None,
    })
}

fn decide_reservation(bytes: &[u8], ttl: Nanos) -> Option<Decided> {
    let Reservation { code, id } = Reservation::decode(bytes).ok()?;
    let (verdict, life, id) = match code {
        // Nothing is held, so there is nothing to commit.
        Code::Ok if id.is_empty() => (Verdict::Granted, Life::WithoutLimit, None),
        Code::Ok => (Verdict::Granted, Life::Hold(ttl), Some(id)),
        Code::OverLimit => (Verdict::Refused, Life::Unknown, None),
        Code::Unknown => return None,
    };
    let answer = Answer {
        life,
        ..Answer::UNKNOWN
    };
    Some(Decided {
        answers: smallvec![(verdict, answer)],
        response: Response::default(),
        id,
    })
}

impl<S: Store, H: Services> Ledger<'_, S, H> {
    fn failed(&mut self, call: &Call, part: &Part) {
        let timeout = self.policy.service(call.service).map(|it| it.timeout());
        let is_late = timeout.is_some_and(|timeout| {
            let early = TIMER_PRECISION.min(timeout / 4);
            self.now + early >= call.asked_at + timeout
        });
        let result = match is_late {
            true => CallResult::Timeout,
            false => CallResult::Error,
        };
        let limit = part.counted.limit;
        self.services.count(limit, FleetEvent::Called(result));
        self.fail_hits(part.counted, part.hits);
    }

    /// Accounts for what an answer says about one limit. Also returns what has become of granted hits.
    fn answered(
        &mut self,
        part: &Part,
        verdict: Verdict,
        answer: Answer,
        random: u64,
    ) -> (PartResult, Option<Granted>) {
        let Part { counted, hits } = *part;
        let limit = counted.limit;
        let result = match verdict {
            Verdict::Granted => CallResult::Ok,
            Verdict::Refused | Verdict::RefusedTogether => CallResult::OverLimit,
        };
        self.services.count(limit, FleetEvent::Called(result));
        if verdict == Verdict::Granted {
            let event = FleetEvent::Taken(hits.count());
            self.services.count(limit, event);
        }
        if let Some(configured) = self.policy.get(limit).map(|it| &it.limit.rate)
            && answer.differs(configured.requests.most().get(), configured.per())
        {
            let limit_of_service = answer.limit.unwrap_or_default();
            let event = FleetEvent::Differs {
                limit: limit_of_service,
            };
            self.services.count(limit, event);
        }
        let is_named = match verdict {
            Verdict::Granted => return self.granted(counted, hits, answer),
            Verdict::Refused => true,
            Verdict::RefusedTogether => false,
        };
        (self.refused(counted, hits, answer, is_named, random), None)
    }

    /// The period of a limit, as it is configured.
    fn per(&self, limit: LimitId) -> Nanos {
        let compiled = self.policy.get(limit);
        compiled.map_or(Nanos::ZERO, |it| it.limit.rate.per())
    }

    fn granted(
        &mut self,
        counted: Counted,
        hits: Hits,
        answer: Answer,
    ) -> (PartResult, Option<Granted>) {
        let now = self.now;
        let without_lot = |cost| Taken {
            cost,
            ..Taken::default()
        };
        let ticket = match hits {
            Hits::Lease(ticket) => ticket,
            Hits::Each(cost) => {
                let taken = without_lot(cost);
                let quota = quota_of(answer, self.per(counted.limit));
                return (
                    PartResult::Granted { taken, quota },
                    Some(Granted::used(cost, cost)),
                );
            }
        };
        let granted = self.lease(counted, |leases, lease| {
            leases.granted(lease, ticket, answer, now)
        });
        let Ok(Changed { outcome, quota, .. }) = granted else {
            // The service has granted the request. The other tokens are lost, unless the service only holds them.
            let others = ticket.hits.saturating_sub(ticket.cost);
            if !matches!(answer.life, Life::Hold(_)) {
                self.services
                    .count(counted.limit, FleetEvent::Wasted(others));
            }
            let taken = without_lot(ticket.cost);
            return (
                PartResult::Granted { taken, quota: None },
                Some(Granted::used(ticket.hits, ticket.cost)),
            );
        };
        let Grant { taken, paid, .. } = outcome;
        let result = PartResult::Granted { taken, quota };
        (result, Some(Granted::of(ticket.hits, taken, paid)))
    }

    /// `is_named`: the service says that this limit is reached.
    fn refused(
        &mut self,
        counted: Counted,
        hits: Hits,
        answer: Answer,
        is_named: bool,
        random: u64,
    ) -> PartResult {
        let (now, per) = (self.now, self.per(counted.limit));
        let ticket = match hits {
            Hits::Lease(ticket) => ticket,
            Hits::Each(_) => {
                let quota = quota_of(answer, per);
                return PartResult::Denied {
                    wait: answer.retry_after(per),
                    quota: match is_named {
                        true => quota.map(Quota::used_up),
                        false => quota,
                    },
                };
            }
        };
        let refused = self.lease(counted, |leases, lease| match is_named {
            true => leases.refused(lease, ticket, answer, random, now),
            false => leases.refused_together(lease, ticket, answer, now),
        });
        match refused.map(|refused| (refused.outcome, refused.quota)) {
            Ok((Refusal::AskLess(ticket), _)) => PartResult::AskLess(ticket),
            Ok((Refusal::Denied { until }, quota)) => PartResult::Denied {
                wait: until - now,
                quota,
            },
            Err(_) => PartResult::Denied {
                wait: answer.retry_after(per),
                quota: None,
            },
        }
    }
}

fn quota_of(answer: Answer, per: Nanos) -> Option<Quota> {
    let reset_after = answer.rest(per).unwrap_or_default();
    Some(Quota::of_service((
        answer.limit?,
        answer.remaining?,
        reset_after,
    )))
}
