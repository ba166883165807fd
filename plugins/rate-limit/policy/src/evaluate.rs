//! All limits on one request.
//!
//! The [module](super) says what happens in which order, and why.

use super::limiter::{Action, LimitEvents, Operation, OperationResult, Quota};
use super::{LimitId, RateLimit};
use portcullis_core::config::{Mode, OnError};
use portcullis_core::key::{Key, Request};
use portcullis_core::label::Label;
use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, KeyHash, Store};

/// How long a client is to wait that could not be counted.
const WAIT_WHEN_UNAVAILABLE: Nanos = Nanos::SECOND;

/// What came of a request. The default is a request that was never seen.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    pub(super) checks: Vec<Check>,
    pub(super) is_denied: bool,
    pub(super) evaluated_at: Nanos,
}

impl Evaluation {
    /// Whether the request must not pass.
    pub fn is_denied(&self) -> bool {
        self.is_denied
    }

    /// What came of it under each limit that it falls under, for metrics.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

/// What came of a request under one limit.
#[derive(Clone, Debug)]
pub struct Check {
    pub(super) limit: LimitId,
    pub(super) outcome: Outcome,
    /// For how long the request would not be admitted.
    pub(super) wait: Nanos,
    /// Unknown if the table could not be read.
    pub(super) quota: Option<Quota>,
    /// What was spent and not given back.
    pub(super) reservation: Option<Reservation>,
    events: LimitEvents,
}

/// A cost that was spent on a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) key: KeyHash,
    pub(super) cost: u32,
}

/// What a limit says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes.
    Admitted,
    /// It would pass, if another limit did not deny it. It is not counted here.
    Released,
    /// It must not pass.
    Denied(Reason),
    /// It would not pass if the limit were enforced.
    ShadowDenied(Reason),
    /// It passes because it could not be counted.
    Uncounted,
}

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too much is used already.
    RateLimited,
    /// It costs more than the limit admits at once, ever.
    CostTooLarge,
    /// It lacks a part of the key.
    MissingKey,
    /// It could not be counted.
    Unavailable,
}

/// The value of the metric label `reason`.
impl Label for Reason {
    const ALL: &'static [Self] = &[
        Self::RateLimited,
        Self::CostTooLarge,
        Self::MissingKey,
        Self::Unavailable,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::CostTooLarge => "cost_too_large",
            Self::MissingKey => "missing_key",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Check {
    /// The limit.
    pub fn limit(&self) -> LimitId {
        self.limit
    }

    /// What it says.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether the request passed and at least 80 % of the limit are used now.
    pub fn is_near_limit(&self) -> bool {
        self.outcome == Outcome::Admitted && self.quota.is_some_and(|quota| quota.is_nearly_used())
    }

    /// Whether the request could not be counted, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Uncounted
                | Outcome::Denied(Reason::Unavailable)
                | Outcome::ShadowDenied(Reason::Unavailable)
        )
    }

    /// What the check did to the limit's table.
    pub fn events(&self) -> LimitEvents {
        self.events
    }

    /// Why the limit denies the request, enforced or not.
    fn denial(&self) -> Option<Reason> {
        match self.outcome {
            Outcome::Denied(reason) | Outcome::ShadowDenied(reason) => Some(reason),
            Outcome::Admitted | Outcome::Released | Outcome::Uncounted => None,
        }
    }

    fn in_shadow(mut self) -> Self {
        if let Outcome::Denied(reason) = self.outcome {
            self.outcome = Outcome::ShadowDenied(reason);
        }
        self
    }
}

impl RateLimit {
    /// Evaluates a request at `now`, in nanoseconds of the [steady clock](super#time).
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        now: Nanos,
        store: &mut S,
    ) -> Evaluation {
        let mut checks = Vec::with_capacity(self.limits.len());
        let mut is_denied = false;
        for limit in self.limits_in(Mode::Enforce) {
            let action = match is_denied {
                false => Action::Reserve,
                true => Action::Inspect,
            };
            let check = self.check(limit, action, request, now, store);
            is_denied |= check.as_ref().is_some_and(|check| check.denial().is_some());
            checks.extend(check);
        }
        if is_denied {
            for check in &mut checks {
                self.roll_back(check, now, store);
            }
        } else {
            for limit in self.limits_in(Mode::Shadow) {
                let check = self.check(limit, Action::Reserve, request, now, store);
                checks.extend(check.map(Check::in_shadow));
            }
        }
        if self.mode == Mode::Shadow {
            checks = checks.into_iter().map(Check::in_shadow).collect();
            is_denied = false;
        }
        Evaluation {
            checks,
            is_denied,
            evaluated_at: now,
        }
    }

    /// What a limit says, if the request falls under it.
    fn check<S: Store>(
        &self,
        id: LimitId,
        action: Action,
        request: &Request<'_>,
        now: Nanos,
        store: &mut S,
    ) -> Option<Check> {
        let compiled = self.get(id)?;
        let limit = &compiled.limit;
        let condition = limit.condition.as_ref();
        // A limit restricts.
        if condition.is_some_and(|condition| !condition.fit(request.subject).restricts()) {
            return None;
        }
        let check = |outcome, wait| Check {
            limit: id,
            outcome,
            wait,
            quota: None,
            reservation: None,
            events: LimitEvents::default(),
        };
        let permanent = |reason| Check {
            quota: Some(Quota::none(limit.rate.per())),
            ..check(Outcome::Denied(reason), limit.rate.per())
        };
        let key = match Key::of(request, &limit.key, limit.missing, store.seed()) {
            Key::Hash(key) => key,
            Key::None => return None,
            Key::Required => return Some(permanent(Reason::MissingKey)),
        };
        let Some(limiter) = &limit.limiter else {
            return Some(permanent(Reason::RateLimited));
        };
        let cost = limit.cost.of(request.subject.headers());
        let is_too_large = cost > limiter.capacity();
        let (action, cost) = match is_too_large {
            true => (Action::Inspect, 0),
            false => (action, cost),
        };
        let result = self.apply(id, action, key, cost, now, store);
        let result = match (result, self.on_error) {
            (Ok(result), _) => result,
            (Err(GaveUp), _) if is_too_large => {
                let outcome = Outcome::Denied(Reason::CostTooLarge);
                return Some(check(outcome, limit.rate.per()));
            }
            (Err(GaveUp), OnError::Allow) => return Some(check(Outcome::Uncounted, Nanos::ZERO)),
            (Err(GaveUp), OnError::Deny) => {
                let outcome = Outcome::Denied(Reason::Unavailable);
                return Some(check(outcome, WAIT_WHEN_UNAVAILABLE));
            }
        };
        let (outcome, wait) = match result.wait {
            _ if is_too_large => (Outcome::Denied(Reason::CostTooLarge), limit.rate.per()),
            Nanos::ZERO => (Outcome::Admitted, Nanos::ZERO),
            wait => (Outcome::Denied(Reason::RateLimited), wait),
        };
        let is_reserved = outcome == Outcome::Admitted && action == Action::Reserve;
        Some(Check {
            quota: Some(result.quota),
            reservation: is_reserved.then_some(Reservation { key, cost }),
            events: result.events,
            ..check(outcome, wait)
        })
    }

    /// Gives back what was reserved for a request that another limit denies.
    fn roll_back<S: Store>(&self, check: &mut Check, now: Nanos, store: &mut S) {
        if check.outcome == Outcome::Admitted {
            check.outcome = Outcome::Released;
        }
        let Some(Reservation {
            key,
            cost: cost @ 1..,
        }) = check.reservation.take()
        else {
            return;
        };
        let refund = Action::Refund { spent_at: now };
        if let Ok(result) = self.apply(check.limit, refund, key, cost, now, store) {
            check.quota = Some(result.quota);
        }
    }

    /// Carries out an operation on a key of a limit.
    pub(super) fn apply<S: Store>(
        &self,
        id: LimitId,
        action: Action,
        key: KeyHash,
        cost: u32,
        now: Nanos,
        store: &mut S,
    ) -> Result<OperationResult, GaveUp> {
        let compiled = self.get(id).ok_or(GaveUp)?;
        let limiter = compiled.limit.limiter.as_ref().ok_or(GaveUp)?;
        let operation = Operation {
            action,
            cost,
            now,
            tag: key.tag(),
            when_full: self.when_full,
        };
        let block = key.block(compiled.blocks);
        store.update(id.index(), block, |block| limiter.apply(operation, block))
    }
}
