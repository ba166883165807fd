//! The decision of all breakers on one request.
//!
//! The [crate](super) documentation defines the order of the steps.

use super::breaker::StateOverride;
use super::circuit::{Circuit, Effects};
use super::deadlines::ClientDeadlines;
use super::machine::{Candidate, Ended, Refusal, Report, Ticket};
use super::response::Response;
use super::verdict::Finding;
use super::{BreakerId, CircuitBreaker};
use portcullis_core::breaker_snapshot::CircuitState;
use portcullis_core::config::{Mode, OnError};
use portcullis_core::evaluation::{self, Checks, Evaluate};
use portcullis_core::key::{Key, Request, label};
use portcullis_core::label::Label;
use portcullis_core::readings::Fit;
use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, KeyHash, Store};

/// `Retry-After` when the wait is unknown.
const UNKNOWN_WAIT: Nanos = Nanos::SECOND;

/// The decision on a request, and the state that its response needs. The default is a request that this plugin has
/// not seen.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    pub(super) checks: Checks<Check>,
    rejection: Option<Rejection>,
    /// The time of the decision.
    pub(super) now: Nanos,
    /// The time at which the request was complete.
    pub(super) complete_at: Option<Nanos>,
    /// `None` if the headers of the request were not read.
    pub(super) deadlines: Option<ClientDeadlines>,
    pub(super) response: Option<ResponseStart>,
}

/// The part of a request that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whether the request is complete: it has neither a body nor trailers.
    pub is_complete: bool,
    /// Whether its headers were read.
    pub has_headers: bool,
}

/// The headers of a response, and when they arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseStart {
    pub(super) response: Response,
    /// The time at which they arrived.
    pub(super) at: Nanos,
    /// The wait that the upstream asked for, if it asked for one.
    pub(super) retry_after: Option<Nanos>,
}

impl Admission {
    /// Whether the request is rejected.
    pub fn is_rejected(&self) -> bool {
        self.rejection.is_some()
    }

    /// The decision of each breaker that applies, for metrics.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether a breaker waits for the result.
    pub fn needs_response(&self) -> bool {
        self.checks.iter().any(|check| check.held.is_some())
    }

    /// Whether the end of the request matters, because it was incomplete when it arrived.
    pub fn needs_request_end(&self) -> bool {
        self.complete_at.is_none() && self.needs_response()
    }

    /// Whether a response that begins well counts at once.
    pub fn needs_early_success(&self) -> bool {
        let mut held = self.checks.iter().filter_map(|check| check.held.as_ref());
        held.any(|held| held.ticket.is_open_probe())
    }

    pub(super) fn rejection(&self) -> Option<Rejection> {
        self.rejection
    }
}

/// The decision of one breaker on a request.
#[derive(Clone, Debug)]
pub struct Check {
    pub(super) breaker: BreakerId,
    pub(super) decision: Decision,
    pub(super) held: Option<Held>,
    pub(super) effects: Vec<Effects>,
    /// The key, and whether its circuit is open, if that is known.
    pub(super) circuit_is_open: Option<(KeyHash, bool)>,
    /// How long the client should wait if it is rejected.
    wait: Nanos,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) circuit: Circuit,
    pub(super) ticket: Ticket,
    /// The finding, if it is known before the end of the stream.
    pub(super) decided: Option<Finding>,
}

/// A rejection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection {
    pub(super) breaker: BreakerId,
    pub(super) reason: Reason,
    /// How long the client should wait.
    pub(super) wait: Nanos,
}

/// What a breaker does with a request.
pub type Decision = evaluation::Decision<Reason>;

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The circuit is open.
    CircuitOpen,
    /// The circuit is half-open and has no permit left.
    HalfOpen,
    /// The configuration forces the breaker open.
    ForcedOpen,
    /// Too many requests are under way.
    Bulkhead,
    /// The request lacks a part of the key.
    MissingKey,
    /// The circuit could not be read or written.
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

    /// Its decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether the circuit could not be read or written, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        matches!(
            self.decision,
            Decision::Uncounted
                | Decision::Denied(Reason::Unavailable)
                | Decision::ShadowDenied(Reason::Unavailable)
        )
    }

    /// Side effects.
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
            Decision::Denied(reason) => Some(Rejection {
                breaker: self.breaker,
                reason,
                wait: self.wait,
            }),
            _ => None,
        }
    }
}

impl evaluation::Check for Check {
    type Reason = Reason;

    fn decision(&mut self) -> &mut Decision {
        &mut self.decision
    }
}

/// One request before the breakers.
struct Round<'a, 'r, S> {
    policy: &'a CircuitBreaker,
    request: &'a Request<'r>,
    is_complete: bool,
    now: Nanos,
    store: &'a mut S,
}

impl<S: Store> Evaluate for Round<'_, '_, S> {
    type Rule = BreakerId;
    type Check = Check;

    /// Behind a breaker that rejects the request, no other is asked: each could only take a permit and return it.
    fn check(&mut self, breaker: BreakerId, is_denied: bool) -> Option<Check> {
        if is_denied {
            return None;
        }
        self.policy.check(
            breaker,
            self.request,
            self.is_complete,
            self.now,
            self.store,
        )
    }

    fn roll_back(&mut self, check: &mut Check) {
        self.policy.release(check, self.now, self.store);
    }
}

impl CircuitBreaker {
    /// Decides on a request. `now` is on the [steady clock](super#time).
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
        now: Nanos,
        store: &mut S,
    ) -> Admission {
        let is_complete = arrival.is_complete;
        let mut round = Round {
            policy: self,
            request,
            is_complete,
            now,
            store,
        };
        let enforcing = self.breakers_in(Mode::Enforce);
        let in_shadow = self.breakers_in(Mode::Shadow);
        let (checks, _) = round.evaluate(self.mode, enforcing, in_shadow);
        Admission {
            rejection: checks.iter().find_map(Check::rejection),
            checks,
            now,
            complete_at: is_complete.then_some(now),
            deadlines: arrival
                .has_headers
                .then(|| ClientDeadlines::of(request.subject.headers())),
            response: None,
        }
    }

    /// The decision of a breaker, if it applies to the request.
    fn check<S: Store>(
        &self,
        id: BreakerId,
        request: &Request<'_>,
        is_complete: bool,
        now: Nanos,
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
            circuit_is_open: None,
            wait,
        };
        let rejected = |reason, wait| check(Decision::Denied(reason), wait);
        let base = breaker.machine.open.base;
        let key = match Key::of(request, &breaker.key, breaker.missing, store.seed()) {
            Key::Hash(key) => key,
            Key::None => return None,
            Key::Required => return Some(rejected(Reason::MissingKey, base)),
        };
        if breaker.state_override == StateOverride::ForcedOpen {
            return Some(Check {
                circuit_is_open: Some((key, true)),
                ..rejected(Reason::ForcedOpen, base)
            });
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
            (Err(GaveUp), OnError::Allow) => return Some(check(Decision::Uncounted, Nanos::ZERO)),
            (Err(GaveUp), OnError::Deny) => {
                return Some(rejected(Reason::Unavailable, UNKNOWN_WAIT));
            }
        };
        let mut check = match admitted {
            Ok(ticket) => Check {
                held: Some(Held {
                    circuit,
                    ticket,
                    decided: (!candidate.counts).then_some(Finding::AMBIGUOUS),
                }),
                ..check(Decision::Admitted, Nanos::ZERO)
            },
            Err(Refusal::Open { until }) => rejected(Reason::CircuitOpen, until - now),
            Err(Refusal::HalfOpen) => rejected(Reason::HalfOpen, UNKNOWN_WAIT),
            Err(Refusal::Bulkhead) => rejected(Reason::Bulkhead, UNKNOWN_WAIT),
        };
        check.circuit_is_open = match check.decision {
            Decision::Admitted | Decision::Denied(Reason::HalfOpen) => Some((key, false)),
            Decision::Denied(Reason::CircuitOpen) => Some((key, true)),
            // The bulkhead rejects whatever the state is.
            _ => None,
        };
        check.add(effects);
        Some(check)
    }

    /// The circuits that the request belongs to, as far as their states are known.
    pub fn circuit_states(
        &self,
        admission: &Admission,
    ) -> impl Iterator<Item = (BreakerId, CircuitState)> {
        admission.checks.iter().filter_map(|check| {
            let (key, is_open) = check.circuit_is_open?;
            let shape = self.get(check.breaker)?.shape;
            let state = CircuitState {
                shape,
                key,
                is_open,
            };
            Some((check.breaker, state))
        })
    }

    /// Returns the permits of a request that another breaker rejects.
    fn release<S: Store>(&self, check: &mut Check, now: Nanos, store: &mut S) {
        let Some(held) = check.held.take() else {
            return;
        };
        check.decision = Decision::Released;
        let report = Report {
            ticket: held.ticket,
            ended: Ended::Neutral,
            retry_after: Nanos::ZERO,
            random: 0,
        };
        let released = self.record(check.breaker, &held.circuit, report, now, store);
        check.add(released.unwrap_or_default());
    }
}
