//! The evaluation of all limits on one request.
//!
//! The [module](super) describes the order of the steps and the reasons for it.

use super::limiter::{Action, LimitEvents, Limiter, Operation, OperationResult, Quota};
use super::{LimitId, RateLimit};
use portcullis_core::config::{Mode, OnError};
use portcullis_core::evaluation::{self, Checks, Evaluate};
use portcullis_core::key::{Key, Request};
use portcullis_core::label::Label;
use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, KeyHash, Store};

/// Retry-After when the count is unavailable.
pub(super) const WAIT_WHEN_UNAVAILABLE: Nanos = Nanos::SECOND;

/// The result of a request. The default is a request that the plugin never saw.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    pub(super) checks: Checks<Check>,
    pub(super) is_denied: bool,
    pub(super) evaluated_at: Nanos,
}

impl Evaluation {
    /// Whether the request is denied.
    pub fn is_denied(&self) -> bool {
        self.is_denied
    }

    /// The result under each limit that applies, for metrics.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }
}

/// The result of a request under one limit.
#[derive(Clone, Debug)]
pub struct Check {
    pub(super) limit: LimitId,
    pub(super) decision: Decision,
    /// The number of requests in the limit's period, for this request.
    pub(super) requests: u32,
    /// The time until the request would be admitted.
    pub(super) wait: Nanos,
    /// `None` if the table could not be read.
    pub(super) quota: Option<Quota>,
    /// The cost that is reserved and not rolled back.
    pub(super) reservation: Option<Reservation>,
    events: LimitEvents,
}

/// A cost that was spent on a key, and may be refunded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) key: KeyHash,
    pub(super) cost: u32,
}

/// The decision of a limit about a request.
pub type Decision = evaluation::Decision<Reason>;

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The remaining capacity is less than the cost.
    RateLimited,
    /// The cost is more than the limit ever admits at once.
    CostTooLarge,
    /// A part of the key is missing.
    MissingKey,
    /// The request could not be counted.
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

    /// Its decision.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether the request passed and left at least 80 % of the limit used.
    pub fn is_near_limit(&self) -> bool {
        self.decision == Decision::Admitted
            && self.quota.is_some_and(|quota| quota.is_nearly_used())
    }

    /// Whether the request could not be counted, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        matches!(
            self.decision,
            Decision::Uncounted
                | Decision::Denied(Reason::Unavailable)
                | Decision::ShadowDenied(Reason::Unavailable)
        )
    }

    /// The effects of the check on the limit's table.
    pub fn events(&self) -> LimitEvents {
        self.events
    }
}

impl evaluation::Check for Check {
    type Reason = Reason;

    fn decision(&mut self) -> &mut Decision {
        &mut self.decision
    }
}

/// One request before the limits.
struct Round<'a, 'r, S> {
    policy: &'a RateLimit,
    request: &'a Request<'r>,
    now: Nanos,
    store: &'a mut S,
}

impl<S: Store> Evaluate for Round<'_, '_, S> {
    type Rule = LimitId;
    type Check = Check;

    /// A limit behind one that denies is only inspected, so that `RateLimit` headers can show it.
    fn check(&mut self, limit: LimitId, is_denied: bool) -> Option<Check> {
        let action = match is_denied {
            false => Action::Reserve,
            true => Action::Inspect,
        };
        self.policy
            .check(limit, action, self.request, self.now, self.store)
    }

    fn roll_back(&mut self, check: &mut Check) {
        self.policy.roll_back(check, self.now, self.store);
    }
}

impl RateLimit {
    /// Evaluates a request at `now` on the [steady clock](super#time).
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        now: Nanos,
        store: &mut S,
    ) -> Evaluation {
        let mut round = Round {
            policy: self,
            request,
            now,
            store,
        };
        let enforcing = self.limits_in(Mode::Enforce);
        let in_shadow = self.limits_in(Mode::Shadow);
        let (checks, is_denied) = round.evaluate(self.mode, enforcing, in_shadow);
        Evaluation {
            checks,
            is_denied,
            evaluated_at: now,
        }
    }

    /// Checks one limit; `None` if it does not apply to the request.
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
        // A limit restricts, so a possible match is enough.
        if condition.is_some_and(|condition| !condition.fit(request.subject).restricts()) {
            return None;
        }
        let requests = limit.rate.requests.of(request);
        let check = |decision, wait| Check {
            limit: id,
            decision,
            requests,
            wait,
            quota: None,
            reservation: None,
            events: LimitEvents::default(),
        };
        let permanent = |reason| Check {
            quota: Some(Quota::none(limit.rate.per())),
            ..check(Decision::Denied(reason), limit.rate.per())
        };
        let key = match Key::of(request, &limit.key, limit.missing, store.seed()) {
            Key::Hash(key) => key,
            Key::None => return None,
            Key::Required => return Some(permanent(Reason::MissingKey)),
        };
        let Some(limiter) = limit.limiter(requests) else {
            return Some(permanent(Reason::RateLimited));
        };
        let cost = limit.cost.of(request.subject.headers());
        let is_too_large = cost > limiter.capacity();
        let (action, cost) = match is_too_large {
            true => (Action::Inspect, 0),
            false => (action, cost),
        };
        let operation = self.operation(action, key, cost, now);
        let result = apply(&limiter, id, operation, key.block(compiled.blocks), store);
        let result = match (result, self.on_error) {
            (Ok(result), _) => result,
            (Err(GaveUp), _) if is_too_large => {
                let decision = Decision::Denied(Reason::CostTooLarge);
                return Some(check(decision, limit.rate.per()));
            }
            (Err(GaveUp), OnError::Allow) => return Some(check(Decision::Uncounted, Nanos::ZERO)),
            (Err(GaveUp), OnError::Deny) => {
                let decision = Decision::Denied(Reason::Unavailable);
                return Some(check(decision, WAIT_WHEN_UNAVAILABLE));
            }
        };
        let (decision, wait) = match result.wait {
            _ if is_too_large => (Decision::Denied(Reason::CostTooLarge), limit.rate.per()),
            Nanos::ZERO => (Decision::Admitted, Nanos::ZERO),
            wait => (Decision::Denied(Reason::RateLimited), wait),
        };
        let is_reserved = decision == Decision::Admitted && action == Action::Reserve;
        Some(Check {
            quota: Some(result.quota),
            reservation: is_reserved.then_some(Reservation { key, cost }),
            events: result.events,
            ..check(decision, wait)
        })
    }

    /// Rolls back the reservation for a request that another limit denies.
    fn roll_back<S: Store>(&self, check: &mut Check, now: Nanos, store: &mut S) {
        if check.decision == Decision::Admitted {
            check.decision = Decision::Released;
        }
        let Some(Reservation {
            key,
            cost: cost @ 1..,
        }) = check.reservation.take()
        else {
            return;
        };
        let refund = Action::Refund { spent_at: now };
        let reservation = Reservation { key, cost };
        if let Ok(result) = self.adjust(check, refund, reservation, now, store) {
            check.quota = Some(result.quota);
        }
    }

    /// Charges or refunds a cost to the key of a check, at the rate of its request.
    pub(super) fn adjust<S: Store>(
        &self,
        check: &Check,
        action: Action,
        Reservation { key, cost }: Reservation,
        now: Nanos,
        store: &mut S,
    ) -> Result<OperationResult, GaveUp> {
        let compiled = self.get(check.limit).ok_or(GaveUp)?;
        let limiter = compiled.limit.limiter(check.requests).ok_or(GaveUp)?;
        let operation = self.operation(action, key, cost, now);
        let block = key.block(compiled.blocks);
        apply(&limiter, check.limit, operation, block, store)
    }

    fn operation(&self, action: Action, key: KeyHash, cost: u32, now: Nanos) -> Operation {
        Operation {
            action,
            cost,
            now,
            tag: key.tag(),
            when_full: self.when_full,
        }
    }
}

/// Applies an operation to a block of a limit's table.
fn apply<S: Store>(
    limiter: &Limiter,
    id: LimitId,
    operation: Operation,
    block: u32,
    store: &mut S,
) -> Result<OperationResult, GaveUp> {
    store.update(id.index(), block, |block| limiter.apply(operation, block))
}
