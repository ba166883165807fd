//! What became of a request that was admitted.

use super::breaker::Breaker;
use super::circuit::Effects;
use super::evaluate::{Admission, Answer};
use super::machine::{Ended, Report, Sample};
use super::outcome::{Moment, Response, Stream, Verdict, judge};
use super::retry_after::retry_after;
use super::{BreakerId, CircuitBreaker};
use crate::config::Mode;
use crate::headers::HeaderMap;
use crate::reply::Reply;
use crate::table::Store;

/// What was recorded of a request, for metrics.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The breaker.
    pub breaker: BreakerId,
    /// What came of it.
    pub verdict: Verdict,
    /// Whether it was slow.
    pub is_slow: bool,
    /// How often it was sent upstream, where that is known.
    pub attempts: Option<u32>,
    /// Whether it could not be recorded.
    pub is_error: bool,
    /// What else happened.
    pub effects: Effects,
}

impl CircuitBreaker {
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
        let mut held = admission.checks.iter().filter(|check| check.held.is_some());
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
        for check in &admission.checks {
            let breaker = &self.get(check.breaker)?.breaker;
            let finding = judge(
                &breaker.failures,
                Moment::Headers,
                Some(&answer.response),
                stream,
            );
            let is_failure = check.held.is_some() && finding.0 == Verdict::Failure;
            if is_failure && reply.is_none() {
                let breaker = self.falls_back(check.breaker);
                reply = breaker.map(|breaker| {
                    let reply = breaker.fallback.on_failure(answer.retry_after);
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
        let waited_until = answer.map_or(now, |answer| answer.now);
        let elapsed = waited_until.saturating_sub(admission.now);
        let mut records = Vec::new();
        for check in &mut admission.checks {
            let (Some(held), Some(compiled)) = (check.held.take(), self.get(check.breaker)) else {
                continue;
            };
            let breaker = &compiled.breaker;
            let (verdict, attempts) = held.decided.unwrap_or_else(|| {
                let response = answer.as_ref().map(|answer| &answer.response);
                judge(&breaker.failures, Moment::End, response, stream)
            });
            let is_slow = breaker
                .slow_threshold
                .is_some_and(|threshold| elapsed > threshold);
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
                is_slow,
                attempts,
                is_error: recorded.is_err(),
                effects: recorded.unwrap_or_default(),
            });
        }
        records
    }
}

impl Breaker {
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

/// Spreads what differs in a few bits over all of them (the finalizer of SplitMix64; Steele, Lea, Flood
/// 2014). The tag of a key is another one in each process, so each has a jitter of its own.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
