//! What becomes of a request.
//!
//! The [module](super) says what happens in which order, and why.

use super::account::{Entry, Statement, TableEvents};
use super::inbound::InboundRetries;
use super::ledger::Reservation;
use super::{BudgetId, Compiled, RetryBudget};
use crate::config::{Mode, OnError};
use crate::headers::HeaderMap;
use crate::key::{Key, Missing, Request};
use crate::table::{GaveUp, KeyHash, Store};

/// What came of a request, for as long as its stream lives.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub(super) budget: BudgetId,
    pub(super) is_enforced: bool,
    /// Which retry the request is; 0 if it is none, or if that does not matter.
    pub(super) retry: u32,
    /// How many retries it should have, if there were no budget.
    pub(super) wanted: u32,
    /// How many it may have.
    pub(super) granted: u32,
    /// Why that is less, or why the request must not pass.
    pub(super) reason: Option<Reason>,
    pub(super) is_denied: bool,
    is_error: bool,
    /// What was withdrawn for it, until it is settled.
    pub(super) held: Option<Held>,
    /// For how many more retries there was something when the ledger was last seen.
    pub(super) balance: Option<u32>,
    pub(super) is_settled: bool,
    pub(super) is_grpc: bool,
    pub(super) stop: Stop,
    pub(super) table: TableEvents,
}

/// Retries that were withdrawn from the ledger of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) key: KeyHash,
    pub(super) reserved: Reservation,
}

/// Whether the caller is to be told not to send the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing is known of the response yet, or there is no reason to.
    No,
    /// If the response is a failure.
    IfFailed,
    /// If the trailers say that it is a failure.
    IfTrailersFailed,
}

/// Why a retry is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing left in the budget.
    BudgetEmpty,
    /// The circuit breaker is open.
    BreakerOpen,
    /// The budget could not be read or written.
    Unavailable,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::BudgetEmpty, Self::BreakerOpen, Self::Unavailable];

    /// The value of the metric label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::BudgetEmpty => "budget_empty",
            Self::BreakerOpen => "breaker_open",
            Self::Unavailable => "unavailable",
        }
    }

    /// The details in the access log.
    pub(super) fn details(self) -> &'static str {
        match self {
            Self::BudgetEmpty => "retry_budget_empty",
            Self::BreakerOpen => "retry_budget_breaker_open",
            Self::Unavailable => "retry_budget_unavailable",
        }
    }
}

impl Evaluation {
    /// The budget that decided.
    pub fn budget(&self) -> BudgetId {
        self.budget
    }

    /// Whether the decision is carried out. In shadow mode it is only counted.
    pub fn is_enforced(&self) -> bool {
        self.is_enforced
    }

    /// Whether the request is a retry, and counts as one.
    pub fn is_inbound_retry(&self) -> bool {
        self.retry > 0
    }

    /// Why the request must not pass; in shadow mode, why it would not.
    pub fn denial(&self) -> Option<Reason> {
        self.reason.filter(|_| self.is_denied)
    }

    /// How many retries the request may have.
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// Whether the ledger could not be read or written, so that `on_error` decided.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// For how many more retries there is something in the budget; unknown if it could not be read.
    pub fn balance(&self) -> Option<u32> {
        self.balance
    }

    /// What the request did to the budget's table.
    pub fn table(&self) -> TableEvents {
        self.table
    }

    /// Remembers what was withdrawn, and says how many retries that are.
    fn hold(&mut self, key: KeyHash, statement: &Statement) -> u32 {
        self.balance = Some(statement.balance);
        self.table = statement.table;
        let reserved = statement.reserved;
        self.held = (reserved.retries() > 0).then_some(Held { key, reserved });
        reserved.retries()
    }

    /// Whether the request may have fewer retries than it should.
    pub(super) fn is_short(&self) -> bool {
        self.granted < self.wanted
    }

    /// Whether there is nothing for another retry.
    pub(super) fn is_exhausted(&self) -> bool {
        self.reason.is_some() || self.balance == Some(0)
    }
}

impl RetryBudget {
    /// Evaluates a request at `now`, in nanoseconds of the steady clock. `None` if no budget is for it.
    ///
    /// `is_open` is asked whether a breaker is open if the budget has to respect one.
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        now: u64,
        store: &mut S,
        is_open: impl FnOnce(&str) -> bool,
    ) -> Option<Evaluation> {
        let subject = request.subject;
        let (id, compiled) = self.active().find(|(_, compiled)| {
            let condition = compiled.budget.condition.as_ref();
            condition.is_none_or(|condition| condition.matches(subject))
        })?;
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
        let breaker = budget.respect_breaker.as_ref();
        let evaluation = Evaluation {
            budget: id,
            is_enforced: self.mode == Mode::Enforce && budget.mode == Mode::Enforce,
            retry,
            wanted,
            granted: 0,
            reason: breaker
                .is_some_and(|breaker| is_open(breaker.as_str()))
                .then_some(Reason::BreakerOpen),
            is_denied: false,
            is_error: false,
            held: None,
            balance: None,
            is_settled: false,
            is_grpc: is_grpc(subject.headers()),
            stop: Stop::No,
            table: TableEvents::default(),
        };
        let Key::Hash(key) = Key::of(request, &budget.key, Missing::Share, store.seed()) else {
            return None;
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
