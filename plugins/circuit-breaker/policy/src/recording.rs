//! The results of admitted requests: how a request, its response and its stream go on after the admission.

use super::admission::{Admission, ResponseStart};
use super::breaker::Breaker;
use super::circuit::Effects;
use super::endings::Author;
use super::flags::DELAYED;
use super::machine::{EarlySuccess, Ended, Report, Sample, mix};
use super::response::Response;
use super::verdict::{Finding, Moment, Observed, Stream, Verdict, judge};
use super::{BreakerId, CircuitBreaker};
use portcullis_core::few::Few;
use portcullis_core::headers::HeaderMap;
use portcullis_core::retry_after::retry_after;
use portcullis_core::time::{Nanos, UnixSeconds};
use portcullis_table::Store;

/// The recorded result of a request, for metrics.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The breaker.
    pub breaker: BreakerId,
    /// The result.
    pub verdict: Verdict,
    /// Who caused it.
    pub author: Author,
    /// Whether the response was slow.
    pub is_slow: bool,
    /// How often the request was sent upstream, if known.
    pub attempts: Option<u32>,
    /// Whether a deadline passed that the client may have chosen, but the headers of the request were not read.
    pub lacks_headers: bool,
    /// Whether the result could not be stored.
    pub is_error: bool,
    /// Side effects.
    pub effects: Effects,
}

impl CircuitBreaker {
    /// Records that the request is complete. A second call does nothing.
    pub fn on_request_complete<S: Store>(
        &self,
        admission: &mut Admission,
        now: Nanos,
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

    /// Counts probes whose response has begun well, see [`needs_early_success`](Admission::needs_early_success).
    /// Call it after [`on_response`](Self::on_response).
    pub fn on_early_success<S: Store>(
        &self,
        admission: &mut Admission,
        stream: &mut impl Stream,
        now: Nanos,
        store: &mut S,
    ) -> Vec<(BreakerId, Effects)> {
        let Some(start) = admission.response else {
            return Vec::new();
        };
        let observed = admission.observed(Moment::Headers, Some(&start.response), now);
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
                has_status_in_trailers: start.response.awaits_status(),
            };
            let effects =
                self.advance(check.breaker, held, now, store, |machine, state, ticket| {
                    machine.answer(state, now, ticket, early)
                });
            all.push((check.breaker, effects));
        }
        all
    }

    /// Remembers the headers of the response.
    pub fn on_response(&self, admission: &mut Admission, headers: &HeaderMap, now: Nanos) {
        // Where a response has a date in `Retry-After` and no `Date`. The steady clock started with the wall clock.
        let wall_now = UnixSeconds::new(now.floor_secs());
        let wait = retry_after(headers, wall_now).filter(|wait| *wait > Nanos::ZERO);
        admission.response = Response::of(headers).map(|response| ResponseStart {
            response,
            at: now,
            retry_after: wait,
        });
    }

    /// Remembers the trailers of the response.
    pub fn on_trailers(&self, admission: &mut Admission, trailers: &HeaderMap) {
        if let Some(start) = &mut admission.response {
            start.response.add_trailers(trailers);
        }
    }

    /// Records the result of the request when its stream has ended. A second call does nothing.
    pub fn on_log<S: Store>(
        &self,
        admission: &mut Admission,
        stream: &mut impl Stream,
        now: Nanos,
        store: &mut S,
    ) -> Few<Recorded> {
        let start = admission.response;
        let response = start.as_ref().map(|start| &start.response);
        let observed = admission.observed(Moment::End, response, now);
        let asked_wait = start.and_then(|start| start.retry_after);
        let mut records = Few::None;
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
                retry_after: asked_wait
                    .filter(|_| breaker.respects_retry_after)
                    .unwrap_or_default(),
                random: mix(held.circuit.key.tag() ^ now.get()),
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
    pub(super) fn observed<'a>(
        &self,
        moment: Moment,
        response: Option<&'a Response>,
        now: Nanos,
    ) -> Observed<'a> {
        let waited_until = self.response.map_or(now, |start| start.at);
        let since_complete = |complete_at| waited_until - complete_at;
        Observed {
            moment,
            response,
            is_complete: self.complete_at.is_some(),
            age: waited_until - self.now,
            // The upstream owes no answer to an incomplete request.
            waited: self.complete_at.map_or(Nanos::ZERO, since_complete),
            deadlines: self.deadlines,
        }
    }
}

impl Breaker {
    /// Whether the upstream was slow. It was not if the fault filter delayed the request, which clients can request.
    fn is_slow(&self, waited: Nanos, stream: &mut impl Stream) -> bool {
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
