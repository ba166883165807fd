//! All breakers on one request.
//!
//! The [module](super) says what happens in which order, and why.

use super::breaker::StateOverride;
use super::circuit::{Circuit, Effects};
use super::deadlines::ClientDeadlines;
use super::machine::{Candidate, Ended, Refusal, Report, Ticket};
use super::response::Response;
use super::verdict::Finding;
use super::{BreakerId, CircuitBreaker};
use portcullis_core::config::{Mode, OnError};
use portcullis_core::key::{Key, Request, label};
use portcullis_core::label::Label;
use portcullis_core::readings::Fit;
use portcullis_table::{GaveUp, Store};

/// How long a client is to wait when nobody can tell, in nanoseconds.
const WAIT: u64 = 1_000_000_000;

/// What came of a request, and what its response will need. The default is a request that was never
/// seen.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    pub(super) checks: Vec<Check>,
    rejection: Option<Rejection>,
    /// When the request was evaluated.
    pub(super) now: u64,
    /// When it was complete.
    pub(super) complete_at: Option<u64>,
    /// `None` if its headers were not read.
    pub(super) deadlines: Option<ClientDeadlines>,
    pub(super) answer: Option<Answer>,
}

/// How much of a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whether it is complete: it has neither a body nor trailers.
    pub is_complete: bool,
    /// Whether its headers were read.
    pub has_headers: bool,
}

/// What is remembered of the response's headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// When they came.
    pub(super) now: u64,
    /// For how long the upstream asked to be left alone, in nanoseconds.
    pub(super) retry_after: u64,
}

impl Admission {
    /// Whether the request must not pass.
    pub fn is_rejected(&self) -> bool {
        self.rejection.is_some()
    }

    /// What came of it under each breaker that was asked, for metrics.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether somebody waits for the outcome.
    pub fn needs_response(&self) -> bool {
        self.checks.iter().any(|check| check.held.is_some())
    }

    /// Whether the end of the request matters, because it was not complete when it came.
    pub fn needs_request_end(&self) -> bool {
        self.complete_at.is_none() && self.needs_response()
    }

    /// Whether it matters at once if the response begins well.
    pub fn needs_early_success(&self) -> bool {
        let mut held = self.checks.iter().filter_map(|check| check.held.as_ref());
        held.any(|held| held.ticket.is_open_probe())
    }

    pub(super) fn rejection(&self) -> Option<Rejection> {
        self.rejection
    }
}

/// What one breaker says of a request.
#[derive(Clone, Debug)]
pub struct Check {
    pub(super) breaker: BreakerId,
    pub(super) decision: Decision,
    pub(super) held: Option<Held>,
    pub(super) effects: Vec<Effects>,
    /// For how long it would be rejected, in nanoseconds.
    wait: u64,
}

/// A request that is under way.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) circuit: Circuit,
    pub(super) ticket: Ticket,
    /// What came of it, where that is known before the end.
    pub(super) decided: Option<Finding>,
}

/// Who rejects a request, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection {
    pub(super) breaker: BreakerId,
    pub(super) reason: Reason,
    /// For how long to wait, in nanoseconds.
    pub(super) wait: u64,
}

/// What a breaker says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It passes.
    Admitted,
    /// It would pass, if another breaker did not reject it.
    Released,
    /// It must not pass.
    Rejected(Reason),
    /// It would not pass if the breaker were enforced.
    ShadowRejected(Reason),
    /// It passes because its circuit could not be asked.
    Uncounted,
}

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The circuit is open.
    CircuitOpen,
    /// The circuit is half-open, and all probes are out.
    HalfOpen,
    /// The breaker is configured to refuse everything.
    ForcedOpen,
    /// Too many requests are under way.
    Bulkhead,
    /// It lacks a part of the key.
    MissingKey,
    /// The circuit could not be asked.
    Unavailable,
}

/// The value of the metric label `reason`, and of `x-portcullis-reason`.
impl Label for Reason {
    const ALL: &'static [Self] = &[
        Self::CircuitOpen,
        Self::HalfOpen,
        Self::ForcedOpen,
        Self::Bulkhead,
        Self::MissingKey,
        Self::Unavailable,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::CircuitOpen => "circuit_open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Bulkhead => "bulkhead",
            Self::MissingKey => "missing_key",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Check {
    /// The breaker.
    pub fn breaker(&self) -> BreakerId {
        self.breaker
    }

    /// What it says.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether the circuit could not be asked, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        matches!(
            self.decision,
            Decision::Uncounted
                | Decision::Rejected(Reason::Unavailable)
                | Decision::ShadowRejected(Reason::Unavailable)
        )
    }

    /// What else happened.
    pub fn effects(&self) -> &[Effects] {
        &self.effects
    }

    fn add(&mut self, effects: Effects) {
        if effects != Effects::default() {
            self.effects.push(effects);
        }
    }

    fn rejection(&self) -> Option<Rejection> {
        match self.decision {
            Decision::Rejected(reason) => Some(Rejection {
                breaker: self.breaker,
                reason,
                wait: self.wait,
            }),
            _ => None,
        }
    }

    fn in_shadow(mut self) -> Self {
        if let Decision::Rejected(reason) = self.decision {
            self.decision = Decision::ShadowRejected(reason);
        }
        self
    }
}

impl CircuitBreaker {
    /// Evaluates a request at `now`, in nanoseconds of the [steady clock](super#time).
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
        now: u64,
        store: &mut S,
    ) -> Admission {
        let is_complete = arrival.is_complete;
        let mut checks = Vec::new();
        let mut rejection = None;
        for breaker in self.breakers_in(Mode::Enforce) {
            let check = self.check(breaker, request, is_complete, now, store);
            rejection = check.as_ref().and_then(Check::rejection);
            checks.extend(check);
            if rejection.is_some() {
                break;
            }
        }
        if rejection.is_some() {
            for check in &mut checks {
                self.release(check, now, store);
            }
        } else {
            for breaker in self.breakers_in(Mode::Shadow) {
                let check = self.check(breaker, request, is_complete, now, store);
                checks.extend(check.map(Check::in_shadow));
            }
        }
        if self.mode == Mode::Shadow {
            checks = checks.into_iter().map(Check::in_shadow).collect();
            rejection = None;
        }
        Admission {
            checks,
            rejection,
            now,
            complete_at: is_complete.then_some(now),
            deadlines: arrival
                .has_headers
                .then(|| ClientDeadlines::of(request.subject.headers())),
            answer: None,
        }
    }

    /// What a breaker says, if the request falls under it.
    fn check<S: Store>(
        &self,
        id: BreakerId,
        request: &Request<'_>,
        is_complete: bool,
        now: u64,
        store: &mut S,
    ) -> Option<Check> {
        let breaker = &self.get(id)?.breaker;
        let condition = breaker.condition.as_ref();
        let fit = condition.map_or(Fit::Certain, |condition| condition.fit(request.subject));
        if !fit.restricts() {
            return None;
        }
        let candidate = Candidate {
            is_complete,
            counts: fit.grants(),
        };
        let check = |decision, wait| Check {
            breaker: id,
            decision,
            held: None,
            effects: Vec::new(),
            wait,
        };
        let rejected = |reason, wait| check(Decision::Rejected(reason), wait);
        let base = breaker.machine.open.base;
        let key = match Key::of(request, &breaker.key, breaker.missing, store.seed()) {
            Key::Hash(key) => key,
            Key::None => return None,
            Key::Required => return Some(rejected(Reason::MissingKey, base)),
        };
        if breaker.state_override == StateOverride::ForcedOpen {
            return Some(rejected(Reason::ForcedOpen, base));
        }
        let circuit = Circuit {
            key,
            label: label(request, &breaker.key),
        };
        let result = self.change(id, &circuit, now, store, |machine, state| {
            machine.admit(state, now, candidate)
        });
        let (admitted, effects) = match (result, self.on_error) {
            (Ok(result), _) => result,
            (Err(GaveUp), OnError::Allow) => return Some(check(Decision::Uncounted, 0)),
            (Err(GaveUp), OnError::Deny) => return Some(rejected(Reason::Unavailable, WAIT)),
        };
        let mut check = match admitted {
            Ok(ticket) => Check {
                held: Some(Held {
                    circuit,
                    ticket,
                    decided: (!candidate.counts).then_some(Finding::AMBIGUOUS),
                }),
                ..check(Decision::Admitted, 0)
            },
            Err(Refusal::Open { until }) => {
                rejected(Reason::CircuitOpen, until.saturating_sub(now))
            }
            Err(Refusal::HalfOpen) => rejected(Reason::HalfOpen, WAIT),
            Err(Refusal::Bulkhead) => rejected(Reason::Bulkhead, WAIT),
        };
        check.add(effects);
        Some(check)
    }

    /// Gives back what was taken for a request that another breaker rejects.
    fn release<S: Store>(&self, check: &mut Check, now: u64, store: &mut S) {
        let Some(held) = check.held.take() else {
            return;
        };
        check.decision = Decision::Released;
        let report = Report {
            ticket: held.ticket,
            ended: Ended::Neutral,
            retry_after: 0,
            random: 0,
        };
        let released = self.record(check.breaker, &held.circuit, report, now, store);
        check.add(released.unwrap_or_default());
    }
}
