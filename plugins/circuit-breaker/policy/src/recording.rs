//! What became of a request that was admitted.

use super::admission::{Admission, Answer, Held};
use super::breaker::Breaker;
use super::circuit::Effects;
use super::endings::Author;
use super::flags::DELAYED;
use super::machine::{EarlySuccess, Ended, Report, Sample, mix};
use super::response::Response;
use super::retry_after::retry_after;
use super::verdict::{Finding, Moment, Observed, Stream, Verdict, judge};
use super::{BreakerId, CircuitBreaker};
use portcullis_core::config::Mode;
use portcullis_core::headers::HeaderMap;
use portcullis_core::reply::Reply;
use portcullis_table::Store;

/// What was recorded of a request, for metrics.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The breaker.
    pub breaker: BreakerId,
    /// What came of it.
    pub verdict: Verdict,
    /// Whose doing it was.
    pub author: Author,
    /// Whether it was slow.
    pub is_slow: bool,
    /// How often it was sent upstream, where that is known.
    pub attempts: Option<u32>,
    /// Whether the client may have chosen a deadline that passed, but the request's headers were not read.
    pub lacks_headers: bool,
    /// Whether it could not be recorded.
    pub is_error: bool,
    /// What else happened.
    pub effects: Effects,
}

impl CircuitBreaker {
    /// Notes that the request is complete. Does nothing the second time.
    pub fn on_request_complete<S: Store>(
        &self,
        admission: &mut Admission,
        now: u64,
        store: &mut S,
    ) -> Vec<(BreakerId, Effects)> {
        if !admission.needs_request_end() {
            return Vec::new();
        }
        admission.complete_at = Some(now);
        let mut all = Vec::new();
        for check in &mut admission.checks {
            if let Some(held) = check
                .held
                .as_mut()
                .filter(|held| held.ticket.is_uploading())
            {
                let effects =
                    self.advance(check.breaker, held, now, store, |machine, state, ticket| {
                        machine.complete(state, now, ticket)
                    });
                all.push((check.breaker, effects));
            }
        }
        all
    }

    /// Counts probes whose response has begun well, see
    /// [`needs_early_success`](Admission::needs_early_success). Call it after [`on_response`](Self::on_response).
    pub fn on_early_success<S: Store>(
        &self,
        admission: &mut Admission,
        stream: &mut impl Stream,
        now: u64,
        store: &mut S,
    ) -> Vec<(BreakerId, Effects)> {
        let Some(answer) = admission.answer else {
            return Vec::new();
        };
        let observed = admission.observed(Moment::Headers, Some(&answer.response), now);
        let mut all = Vec::new();
        for check in &mut admission.checks {
            let Some(breaker) = self.get(check.breaker).map(|compiled| &compiled.breaker) else {
                continue;
            };
            let Some(held) = check
                .held
                .as_mut()
                .filter(|held| held.ticket.is_open_probe())
            else {
                continue;
            };
            let finding = judge(&breaker.failures, &observed, stream);
            if finding.verdict != Verdict::Success {
                continue;
            }
            let early = EarlySuccess {
                is_slow: breaker.is_slow(observed.waited, stream),
                has_status_in_trailers: answer.response.awaits_status(),
            };
            let effects =
                self.advance(check.breaker, held, now, store, |machine, state, ticket| {
                    machine.answer(state, now, ticket, early)
                });
            all.push((check.breaker, effects));
        }
        all
    }

    /// Remembers what the headers of the response say.
    pub fn on_response(&self, admission: &mut Admission, headers: &HeaderMap, now: u64) {
        admission.answer = Response::of(headers).map(|response| Answer {
            response,
            now,
            retry_after: retry_after(headers, now),
        });
    }

    /// Remembers what the trailers of the response say.
    pub fn on_trailers(&self, admission: &mut Admission, trailers: &HeaderMap) {
        if let Some(answer) = &mut admission.answer {
            answer.response.add_trailers(trailers);
        }
    }

    /// Whether [`fallback`](Self::fallback) might answer, so that it should be asked.
    pub fn may_fall_back(&self, admission: &Admission) -> bool {
        let Some(answer) = admission.answer else {
            return false;
        };
        let is_open = |held: &Held| held.decided.is_none();
        let mut held = admission
            .checks
            .iter()
            .filter(|check| check.held.as_ref().is_some_and(is_open));
        held.any(|check| {
            let breaker = self.falls_back(check.breaker);
            breaker.is_some_and(|breaker| answer.response.may_be_failure(&breaker.failures))
        })
    }

    /// The breaker, if it answers in place of failures.
    fn falls_back(&self, id: BreakerId) -> Option<&Breaker> {
        let breaker = &self.get(id)?.breaker;
        let is_enforced = self.mode == Mode::Enforce && breaker.mode == Mode::Enforce;
        (is_enforced && breaker.fallback.on_failure).then_some(breaker)
    }

    /// The answer in place of a response that is a failure by its headers, if a breaker for which it is
    /// one has such an answer; that of the first. The failure counts all the same.
    pub fn fallback(
        &self,
        admission: &mut Admission,
        stream: &mut impl Stream,
    ) -> Option<(BreakerId, Reply)> {
        let answer = admission.answer?;
        let mut reply = None;
        let mut findings = Vec::with_capacity(admission.checks.len());
        let observed = admission.observed(Moment::Headers, Some(&answer.response), answer.now);
        for check in &admission.checks {
            let breaker = &self.get(check.breaker)?.breaker;
            let decided = check.held.as_ref().and_then(|held| held.decided);
            let finding = decided.unwrap_or_else(|| judge(&breaker.failures, &observed, stream));
            let is_failure = check.held.is_some() && finding.verdict == Verdict::Failure;
            if is_failure && reply.is_none() {
                let breaker = self.falls_back(check.breaker);
                reply = breaker.map(|breaker| {
                    let reply = breaker
                        .fallback
                        .on_failure(&breaker.details, answer.retry_after);
                    (check.breaker, reply)
                });
            }
            findings.push(finding);
        }
        if reply.is_some() {
            // At the end Envoy will describe this reply, and no longer the upstream's response.
            for (check, finding) in admission.checks.iter_mut().zip(findings) {
                if let Some(held) = &mut check.held {
                    held.decided = Some(finding);
                }
            }
        }
        reply
    }

    /// Records what came of the request, when its stream has ended. Does nothing the second time.
    pub fn on_log<S: Store>(
        &self,
        admission: &mut Admission,
        stream: &mut impl Stream,
        now: u64,
        store: &mut S,
    ) -> Vec<Recorded> {
        let answer = admission.answer;
        let response = answer.as_ref().map(|answer| &answer.response);
        let observed = admission.observed(Moment::End, response, now);
        let mut records = Vec::new();
        for check in &mut admission.checks {
            let (Some(held), Some(compiled)) = (check.held.take(), self.get(check.breaker)) else {
                continue;
            };
            let breaker = &compiled.breaker;
            let finding = match held.decided {
                Some(decided) => decided,
                None => judge(&breaker.failures, &observed, stream),
            };
            let Finding {
                verdict,
                author,
                attempts,
                lacks_headers,
            } = finding;
            let is_slow = author != Author::Ambiguous && breaker.is_slow(observed.waited, stream);
            let report = Report {
                ticket: held.ticket,
                ended: breaker.ended(verdict, is_slow),
                retry_after: match answer {
                    Some(answer) if breaker.respects_retry_after => answer.retry_after,
                    _ => 0,
                },
                random: mix(held.circuit.key.tag() ^ now),
            };
            let recorded = self.record(check.breaker, &held.circuit, report, now, store);
            records.push(Recorded {
                breaker: check.breaker,
                verdict,
                author,
                is_slow,
                attempts,
                lacks_headers,
                is_error: recorded.is_err(),
                effects: recorded.unwrap_or_default(),
            });
        }
        records
    }
}

impl Admission {
    /// What is known of the exchange at this moment.
    fn observed<'a>(
        &self,
        moment: Moment,
        response: Option<&'a Response>,
        now: u64,
    ) -> Observed<'a> {
        let waited_until = self.answer.map_or(now, |answer| answer.now);
        let since_complete = |complete_at| waited_until.saturating_sub(complete_at);
        Observed {
            moment,
            response,
            is_complete: self.complete_at.is_some(),
            age: waited_until.saturating_sub(self.now),
            // The upstream owes no answer to a request of which a part is missing.
            waited: self.complete_at.map_or(0, since_complete),
            deadlines: self.deadlines,
        }
    }
}

impl Breaker {
    /// Whether the upstream was slow: not where the fault filter held the request back, which clients can ask it
    /// for.
    fn is_slow(&self, waited: u64, stream: &mut impl Stream) -> bool {
        let is_over = self
            .slow_threshold
            .is_some_and(|threshold| waited > threshold);
        is_over && stream.flags() & DELAYED == 0
    }

    fn ended(&self, verdict: Verdict, is_slow: bool) -> Ended {
        match verdict {
            Verdict::Abandoned if is_slow && self.machine.slow_rate > 0 => Ended::Abandoned,
            Verdict::Abandoned | Verdict::Neutral => Ended::Neutral,
            Verdict::Success | Verdict::Failure => Ended::Answered(Sample {
                failed: verdict == Verdict::Failure,
                slow: is_slow,
            }),
        }
    }
}
