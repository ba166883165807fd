//! The evaluation of all limits on one request.
//!
//! The [module](super) describes the order of the steps and the reasons for it.

use std::sync::Arc;

use super::check::{Check, Decision, Origin, Reason, Reservation};
use super::fleet_limits::{Ask, Call, Counted, InFleet, Ledger, NoServices, Services};
use super::limit::Limit;
use super::limiter::{Action, Limiter, Operation, OperationResult, Quota};
use super::{Compiled, LimitId, RateLimit};
use portcullis_core::config::{Mode, OnError};
use portcullis_core::evaluation::{Checks, Evaluate};
use portcullis_core::key::{Key, Request};
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
    /// `None` if no service is concerned.
    pub(super) fleet: Option<Box<InFleet>>,
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

/// One request before limits of which some have fleets.
pub(super) struct Round<'a, 'r, S, H> {
    pub(super) ledger: Ledger<'a, S, H>,
    pub(super) request: &'a Request<'r>,
    /// When the evaluation began.
    pub(super) started: Nanos,
    /// What the request must wait for.
    pub(super) asks: Vec<Ask>,
    /// The calls to send.
    pub(super) calls: Vec<Arc<Call>>,
}

impl<S: Store, H: Services> Evaluate for Round<'_, '_, S, H> {
    type Rule = LimitId;
    type Check = Check;

    fn check(&mut self, limit: LimitId, is_denied: bool) -> Option<Check> {
        let policy = self.ledger.policy;
        let compiled = policy.get(limit)?;
        let counted = match policy.counted(compiled, limit, self.request, self.ledger.store) {
            Ok(counted) => counted,
            Err(check) => return check,
        };
        if compiled.fleet.is_some() {
            return Some(match counted.cost <= counted.requests {
                true => self.check_fleet(counted, is_denied),
                // It would use up the service's window, and be refused.
                false => {
                    let decision = Decision::Denied(Reason::CostTooLarge);
                    Check::of(counted, decision, compiled.limit.rate.per())
                }
            });
        }
        let action = action(is_denied);
        Some(policy.check_local(counted, action, self.ledger.now, self.ledger.store))
    }

    fn roll_back(&mut self, check: &mut Check) {
        self.ledger.roll_back(check, self.started);
    }
}

/// A limit behind one that denies is only inspected, so that `RateLimit` headers can show it.
fn action(is_denied: bool) -> Action {
    match is_denied {
        false => Action::Reserve,
        true => Action::Inspect,
    }
}

/// One request before limits without fleets, which never waits: what most requests go through.
struct LocalRound<'a, 'r, S> {
    policy: &'a RateLimit,
    request: &'a Request<'r>,
    now: Nanos,
    store: &'a mut S,
}

impl<S: Store> Evaluate for LocalRound<'_, '_, S> {
    type Rule = LimitId;
    type Check = Check;

    fn check(&mut self, limit: LimitId, is_denied: bool) -> Option<Check> {
        let policy = self.policy;
        let compiled = policy.get(limit)?;
        match policy.counted(compiled, limit, self.request, self.store) {
            Ok(counted) => {
                Some(policy.check_local(counted, action(is_denied), self.now, self.store))
            }
            Err(check) => check,
        }
    }

    fn roll_back(&mut self, check: &mut Check) {
        let mut ledger = Ledger {
            policy: self.policy,
            now: self.now,
            store: &mut *self.store,
            services: &mut NoServices,
        };
        ledger.roll_back(check, self.now);
    }
}

impl<'a, 'r, S: Store, H: Services> Round<'a, 'r, S, H> {
    pub(super) fn new(
        policy: &'a RateLimit,
        request: &'a Request<'r>,
        started: Nanos,
        now: Nanos,
        store: &'a mut S,
        services: &'a mut H,
    ) -> Self {
        Self {
            ledger: Ledger {
                policy,
                now,
                store,
                services,
            },
            request,
            started,
            asks: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Ends the evaluation after the enforcing limits were checked, or makes the calls that it has to wait for.
    pub(super) fn proceed(mut self, evaluation: &mut Evaluation) {
        let Evaluation {
            checks,
            is_denied,
            fleet,
            ..
        } = evaluation;
        let is_first = fleet.is_none();
        if !self.asks.is_empty() {
            *is_denied = self.place(*is_denied, checks, fleet.get_or_insert_default());
        }
        if let Some(waiting) = fleet {
            if *is_denied {
                self.leave(waiting);
            }
            if waiting.is_pending() {
                if is_first {
                    self.count_waits(waiting);
                }
                waiting.calls.append(&mut self.calls);
                return;
            }
        }
        let policy = self.ledger.policy;
        let in_shadow = policy.limits_in(Mode::Shadow);
        *is_denied = self.conclude(policy.mode, checks, *is_denied, in_shadow);
        self.place_in_shadow();
        if !self.calls.is_empty() {
            let fleet = fleet.get_or_insert_default();
            fleet.calls.append(&mut self.calls);
        }
    }
}

impl RateLimit {
    /// Evaluates a request at `now` on the [steady clock](super#time). It may be [pending](Evaluation::is_pending)
    /// afterwards, and have [calls](Evaluation::take_calls) to make, if a limit has a fleet.
    pub fn on_request<S: Store, H: Services>(
        &self,
        request: &Request<'_>,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> Evaluation {
        let mut evaluation = Evaluation {
            evaluated_at: now,
            ..Evaluation::default()
        };
        let enforcing = self.limits_in(Mode::Enforce);
        if self.has_fleets {
            let mut round = Round::new(self, request, now, now, store, services);
            evaluation.is_denied = round.ask(enforcing, &mut evaluation.checks);
            round.proceed(&mut evaluation);
        } else {
            let mut round = LocalRound {
                policy: self,
                request,
                now,
                store,
            };
            let checks = &mut evaluation.checks;
            let is_denied = round.ask(enforcing, checks);
            let in_shadow = self.limits_in(Mode::Shadow);
            evaluation.is_denied = round.conclude(self.mode, checks, is_denied, in_shadow);
        }
        evaluation
    }

    /// The key and the cost of a request under a limit. Otherwise, the limit does not apply, or decides without
    /// counting.
    fn counted<S: Store>(
        &self,
        compiled: &Compiled,
        id: LimitId,
        request: &Request<'_>,
        store: &S,
    ) -> Result<Counted, Option<Check>> {
        let limit = &compiled.limit;
        let condition = limit.condition.as_ref();
        // A limit restricts, so a possible match is enough.
        if condition.is_some_and(|condition| !condition.fit(request.subject).restricts()) {
            return Err(None);
        }
        let requests = limit.rate.requests.of(request);
        match Key::of(request, &limit.key, limit.missing, store.seed()) {
            Key::Hash(key) => Ok(Counted {
                limit: id,
                key,
                cost: limit.cost.of(request.subject.headers()),
                requests,
            }),
            Key::None => Err(None),
            Key::Required => {
                let check = Check::undecided(id, requests);
                Err(Some(limit.permanent_denial(check, Reason::MissingKey)))
            }
        }
    }

    /// Checks a limit by its own algorithm.
    pub(super) fn check_local<S: Store>(
        &self,
        counted: Counted,
        action: Action,
        now: Nanos,
        store: &mut S,
    ) -> Check {
        let Counted {
            limit: id,
            key,
            cost,
            requests,
        } = counted;
        let check = Check::undecided(id, requests);
        let Some(compiled) = self.get(id) else {
            return check;
        };
        let limit = &compiled.limit;
        let Some(limiter) = limit.limiter(requests) else {
            return limit.permanent_denial(check, Reason::RateLimited);
        };
        let is_too_large = cost > limiter.capacity();
        let (action, cost) = match is_too_large {
            true => (Action::Inspect, 0),
            false => (action, cost),
        };
        let too_large = Decision::Denied(Reason::CostTooLarge);
        let operation = self.operation(action, key, cost, now);
        let result = match apply(&limiter, id, operation, key.block(compiled.blocks), store) {
            Ok(result) => result,
            Err(GaveUp) if is_too_large => return check.decided(too_large, limit.rate.per()),
            Err(GaveUp) => return self.not_counted(counted),
        };
        let (decision, wait) = match result.wait {
            _ if is_too_large => (too_large, limit.rate.per()),
            Nanos::ZERO => (Decision::Admitted, Nanos::ZERO),
            wait => (Decision::Denied(Reason::RateLimited), wait),
        };
        let is_reserved = decision == Decision::Admitted && action == Action::Reserve;
        Check {
            quota: Some(result.quota),
            reservation: is_reserved.then_some(Reservation {
                key,
                cost,
                origin: Origin::Local,
            }),
            events: result.events,
            ..check.decided(decision, wait)
        }
    }

    /// The check of a request that could not be counted: `on_error` decides.
    pub(super) fn not_counted(&self, counted: Counted) -> Check {
        match self.on_error {
            OnError::Allow => Check::of(counted, Decision::Uncounted, Nanos::ZERO),
            OnError::Deny => {
                let decision = Decision::Denied(Reason::Unavailable);
                Check::of(counted, decision, WAIT_WHEN_UNAVAILABLE)
            }
        }
    }

    /// Charges or refunds a cost to the key of a check, at the rate of its request.
    pub(super) fn adjust<S: Store>(
        &self,
        check: &Check,
        action: Action,
        Reservation { key, cost, .. }: Reservation,
        now: Nanos,
        store: &mut S,
    ) -> Result<OperationResult, GaveUp> {
        let compiled = self.get(check.limit).ok_or(GaveUp)?;
        let limiter = compiled.limit.limiter(check.requests).ok_or(GaveUp)?;
        let operation = self.operation(action, key, cost, now);
        let block = key.block(compiled.blocks);
        apply(&limiter, check.limit, operation, block, store)
    }

    /// Counts what was used elsewhere, at most the capacity. If that fails, it counts as unused.
    pub(super) fn raise_to<S: Store>(
        &self,
        counted: Counted,
        used: u32,
        now: Nanos,
        store: &mut S,
    ) {
        let compiled = self.get(counted.limit);
        let limiter = compiled.and_then(|it| it.limit.limiter(counted.requests));
        if let (Some(compiled), Some(limiter)) = (compiled, limiter) {
            let used = used.min(limiter.capacity());
            let operation = self.operation(Action::RaiseTo, counted.key, used, now);
            let block = counted.key.block(compiled.blocks);
            let _ = apply(&limiter, counted.limit, operation, block, store);
        }
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

impl Limit {
    /// A denial that no waiting helps against.
    fn permanent_denial(&self, check: Check, reason: Reason) -> Check {
        let per = self.rate.per();
        Check {
            quota: Some(Quota::none(per)),
            ..check.decided(Decision::Denied(reason), per)
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
