//! Answers of services.

use portcullis_core::time::Nanos;
use portcullis_table::Store;
use smallvec::SmallVec;

use super::additions::Additions;
use super::call::{Call, Hits, Part, PartResult, Reception};
use super::ledger::Ledger;
use super::services::{CallResult, FleetEvent, Services};
use crate::RateLimit;
use crate::fleet::lease::{Answer, Life, Refusal, Taken};
use crate::fleet::messages::Response;
use crate::limiter::Quota;

/// A timer of the host can fire this much too early: its clock advances with the ticks of the kernel.
const TIMER_PRECISION: Nanos = Nanos::from_millis(10);

/// Who must go on after an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The request that waits for the call.
    pub wakes_caller: bool,
    /// Requests that wait for a call of another one.
    pub wakes_others: bool,
    /// Headers of the answer that cannot be sent.
    pub invalid_headers: usize,
    /// Whether the service is out now, if that has changed.
    pub is_out: Option<bool>,
}

impl RateLimit {
    /// Accounts for the answer to a call, an encoded `RateLimitResponse`; `Err` if there is none. Only the first report
    /// of a call counts. `random` is any number, evenly distributed.
    pub fn on_answer<S: Store, H: Services, E>(
        &self,
        call: &Call,
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
        let parts = call.parts.len();
        let response = answer.ok();
        let response = response.and_then(|bytes| Response::decode(bytes, parts).ok());
        let decided = response.and_then(|response| {
            let answers = (0..parts).map(|index| Answer::of(&response, index, parts));
            let answers: Option<SmallVec<[_; 1]>> = answers.collect();
            Some((answers?, response))
        });
        let is_terse = decided
            .as_ref()
            .map(|(_, response)| response.statuses.is_empty());
        let is_out = ledger.report_health(call, is_terse, random);
        let mut effect = Effect {
            wakes_caller: true,
            wakes_others: call
                .parts
                .iter()
                .any(|part| matches!(part.hits, Hits::Lease(_))),
            invalid_headers: 0,
            is_out,
        };
        let reception = match decided {
            Some((answers, response)) => {
                let parts = call.parts.iter().zip(answers);
                let results = parts.map(|(part, (is_granted, answer))| {
                    ledger.answered(part, is_granted, answer, random)
                });
                let results = results.collect();
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
            ledger.dispose(call, &reception, is_used);
            effect.wakes_caller = false;
        }
        effect
    }
}

impl<S: Store, H: Services> Ledger<'_, S, H> {
    /// `is_terse`: whether the answer has no statuses; `None` if the call has failed. Returns whether the service is out
    /// now, if that has changed.
    fn report_health(&mut self, call: &Call, is_terse: Option<bool>, random: u64) -> Option<bool> {
        let (now, asked_at) = (self.now, call.asked_at);
        let changed = self.services.update(call.service, |mut state| {
            let was_out = state.health.is_out();
            state.health = match is_terse {
                Some(_) => state.health.succeeded(asked_at),
                None => state.health.failed(asked_at, random, now),
            };
            state.is_terse = is_terse.unwrap_or(state.is_terse);
            let is_out = state.health.is_out();
            (state, (is_out != was_out).then_some(is_out))
        });
        // Without the state, the service counts as one that answers.
        changed.flatten()
    }

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

    /// Accounts for what an answer says about one limit.
    fn answered(
        &mut self,
        part: &Part,
        is_granted: bool,
        answer: Answer,
        random: u64,
    ) -> PartResult {
        let Part { counted, hits } = *part;
        let (limit, now) = (counted.limit, self.now);
        let result = match is_granted {
            true => CallResult::Ok,
            false => CallResult::OverLimit,
        };
        self.services.count(limit, FleetEvent::Called(result));
        if is_granted {
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
        match (hits, is_granted) {
            (Hits::Each(cost), true) => PartResult::Granted {
                taken: Taken {
                    cost,
                    ..Taken::default()
                },
                quota: quota_of(answer),
            },
            (Hits::Each(_), false) => PartResult::Denied {
                wait: answer.retry_after(),
                quota: quota_of(answer).map(Quota::used_up),
            },
            (Hits::Lease(ticket), true) => {
                let granted = self.lease(counted, |leases, lease| {
                    leases.granted(lease, ticket, answer, now)
                });
                match granted {
                    Ok(granted) => PartResult::Granted {
                        taken: granted.outcome.taken,
                        quota: granted.quota,
                    },
                    // The service has granted the request. The other tokens are lost.
                    Err(_) => {
                        let wasted = ticket.hits.saturating_sub(ticket.cost);
                        self.services.count(limit, FleetEvent::Wasted(wasted));
                        let taken = Taken {
                            cost: ticket.cost,
                            ..Taken::default()
                        };
                        PartResult::Granted { taken, quota: None }
                    }
                }
            }
            (Hits::Lease(ticket), false) => {
                let refused = self.lease(counted, |leases, lease| {
                    leases.refused(lease, ticket, answer, random, now)
                });
                match refused.map(|refused| (refused.outcome, refused.quota)) {
                    Ok((Refusal::AskLess(ticket), _)) => PartResult::AskLess(ticket),
                    Ok((Refusal::Denied { until }, quota)) => PartResult::Denied {
                        wait: until - now,
                        quota,
                    },
                    Err(_) => PartResult::Denied {
                        wait: answer.retry_after(),
                        quota: None,
                    },
                }
            }
        }
    }
}

fn quota_of(answer: Answer) -> Option<Quota> {
    let reset_after = match answer.life {
        Life::Window(rest) => rest,
        Life::Hold(_) | Life::WithoutLimit | Life::Unknown => Nanos::ZERO,
    };
    Some(Quota::of_service((
        answer.limit?,
        answer.remaining?,
        reset_after,
    )))
}
