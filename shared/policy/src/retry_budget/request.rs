//! What becomes of a request.
//!
//! The [module](super) says what happens in which order, and why.

use super::account::{Entry, Statement, TableEvents};
use super::breaker::BreakerQuery;
use super::evaluation::{Evaluation, Reason, Stop};
use super::inbound::InboundRetries;
use super::{BudgetId, Compiled, RetryBudget};
use crate::config::{Mode, OnError};
use crate::headers::HeaderMap;
use crate::key::{self, Key, Missing, Request};
use crate::matcher::Choice;
use crate::table::{GaveUp, KeyHash, Store};

impl RetryBudget {
    /// Evaluates a request at `now`, in nanoseconds of the steady clock. `None` if no budget is for it.
    ///
    /// `is_open` is asked whether the breaker is open that the budget has to respect.
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        now: u64,
        store: &mut S,
        is_open: impl FnOnce(BreakerQuery) -> bool,
    ) -> Option<Evaluation> {
        let subject = request.subject;
        let conditions = self.active().map(|(_, it)| it.budget.condition.as_ref());
        let first = Choice::of(conditions, subject).first()?;
        let (id, compiled) = self.active().nth(first)?;
        let budget = &compiled.budget;
        let retry = match budget.inbound_retries {
            InboundRetries::Ignore => 0,
            InboundRetries::Deny | InboundRetries::Count => {
                budget.attempt_headers.retry(subject.headers())
            }
        };
        // A retry has no retries of its own.
        let wanted = match retry {
            0 => budget.wanted(subject.method()),
            _ => 0,
        };
        let Key::Hash(key) = Key::of(request, &budget.key, Missing::Share, store.seed()) else {
            return None;
        };
        let is_breaker_open = budget.respect_breaker.is_some()
            && is_open(BreakerQuery {
                budget: id,
                shape: key::shape(&budget.key),
                key,
                now,
            });
        let evaluation = Evaluation {
            budget: id,
            is_enforced: self.mode == Mode::Enforce && budget.mode == Mode::Enforce,
            retry,
            wanted,
            granted: 0,
            reason: is_breaker_open.then_some(Reason::BreakerOpen),
            is_denied: false,
            is_error: false,
            held: None,
            balance: None,
            is_settled: false,
            is_grpc: is_grpc(subject.headers()),
            stop: Stop::No,
            table: TableEvents::default(),
        };
        let place = Place {
            id,
            compiled,
            key,
            now,
        };
        Some(match retry {
            0 => self.grant(evaluation, place, store),
            _ => self.admit(evaluation, place, store),
        })
    }

    /// A first attempt: how many retries it may have.
    fn grant<S: Store>(
        &self,
        mut evaluation: Evaluation,
        place: Place<'_>,
        store: &mut S,
    ) -> Evaluation {
        let wanted = match evaluation.reason {
            None => evaluation.wanted,
            Some(_) => 0,
        };
        match place.enter(Entry::Request { wanted }, store) {
            Ok(statement) => {
                evaluation.granted = evaluation.hold(place.key, &statement);
                if evaluation.granted < wanted {
                    evaluation.reason = Some(Reason::BudgetEmpty);
                }
            }
            Err(GaveUp) => {
                evaluation.is_error = true;
                match self.on_error {
                    OnError::Allow => evaluation.granted = wanted,
                    OnError::Deny => evaluation.reason = Some(Reason::Unavailable),
                }
            }
        }
        evaluation
    }

    /// A retry by somebody else: whether it may pass.
    fn admit<S: Store>(
        &self,
        mut evaluation: Evaluation,
        place: Place<'_>,
        store: &mut S,
    ) -> Evaluation {
        let may_deny = place.compiled.budget.inbound_retries == InboundRetries::Deny;
        if may_deny && evaluation.reason.is_some() {
            evaluation.is_denied = true;
            return evaluation;
        }
        let entry = match may_deny {
            true => Entry::InboundRetry,
            false => Entry::CountedRetry,
        };
        match place.enter(entry, store) {
            Ok(statement) => {
                if evaluation.hold(place.key, &statement) == 0 {
                    evaluation.reason = Some(Reason::BudgetEmpty);
                }
            }
            Err(GaveUp) => {
                evaluation.is_error = true;
                if self.on_error == OnError::Deny {
                    evaluation.reason = Some(Reason::Unavailable);
                }
            }
        }
        evaluation.is_denied = may_deny && evaluation.reason.is_some();
        evaluation
    }
}

/// Where a request is entered, and when.
#[derive(Clone, Copy)]
struct Place<'a> {
    id: BudgetId,
    compiled: &'a Compiled,
    key: KeyHash,
    now: u64,
}

impl Place<'_> {
    fn enter<S: Store>(&self, entry: Entry, store: &mut S) -> Result<Statement, GaveUp> {
        let account = self.compiled.account(self.key, self.now);
        let block = self.key.block(self.compiled.blocks);
        store.update(self.id.index(), block, |block| account.enter(entry, block))
    }
}

/// Whether a request is one of gRPC, as Envoy tells them.
fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers
        .get("content-type")
        .and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
