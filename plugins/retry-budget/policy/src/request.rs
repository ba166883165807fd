//! The decision on a request.
//!
//! The [crate](super) documentation defines the order of the steps.

use super::account::{Entry, Statement};
use super::breaker::BreakerQuery;
use super::evaluation::{Evaluation, Reason};
use super::inbound::{self, InboundRetries};
use super::ledger::Reservation;
use super::selection::Selection;
use super::stop_signal::StopSignal;
use super::{BudgetId, Compiled, RetryBudget};
use portcullis_core::config::OnError;
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::{self, Key, Missing, Request};
use portcullis_core::time::Nanos;
use portcullis_table::{GaveUp, KeyHash, Store, TableEvents};

impl RetryBudget {
    /// Decides on a request. `None` if no budget applies to it. `now` is on the steady clock.
    ///
    /// `is_redirected` says whether an internal redirect led to the request, see
    /// [`may_be_redirected`](Self::may_be_redirected). `is_open` says whether the breaker that the budget respects is
    /// open.
    pub fn on_request<S: Store>(
        &self,
        request: &Request<'_>,
        is_redirected: bool,
        now: Nanos,
        store: &mut S,
        is_open: impl FnOnce(BreakerQuery) -> bool,
    ) -> Option<Evaluation> {
        let subject = request.subject;
        let Selection {
            id,
            compiled,
            is_certain,
            is_ambiguous,
        } = self.select(subject, is_redirected)?;
        let budget = &compiled.budget;
        let retry = budget.inbound_retry(subject.headers(), is_redirected);
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
        let reason = match is_breaker_open {
            true => Some(Reason::BreakerOpen),
            // A retry has no retries to lose.
            false => (is_ambiguous && retry == 0).then_some(Reason::Ambiguous),
        };
        let evaluation = Evaluation {
            budget: id,
            is_enforced: self.is_enforced(compiled),
            retry,
            wanted,
            granted: 0,
            reason,
            is_denied: false,
            is_error: false,
            key,
            held: None,
            deposits: is_certain && retry == 0,
            balance: None,
            is_recorded: false,
            grpc: Grpc::of(subject.headers()),
            stop_signal: StopSignal::No,
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

    /// Whether an internal redirect may have led to a request with these headers, and whether that matters.
    pub fn may_be_redirected(&self, headers: &HeaderMap) -> bool {
        let looks = |compiled: &Compiled| compiled.budget.inbound_retries != InboundRetries::Ignore;
        self.active().any(|(_, compiled)| looks(compiled)) && inbound::may_be_redirected(headers)
    }

    /// Grants retries to a first attempt.
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
        // The ledger is read when the use of the request is recorded.
        if wanted == 0 && (evaluation.deposits || evaluation.reason.is_some()) {
            return evaluation;
        }
        match place.enter(Entry::Request { wanted }, store) {
            Ok((reserved, statement)) => {
                evaluation.granted = evaluation.hold(reserved, statement);
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

    /// Admits or denies a caller's retry.
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
            Ok((reserved, statement)) => {
                if evaluation.hold(reserved, statement) == 0 {
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

/// The ledger and the time of an entry.
#[derive(Clone, Copy)]
struct Place<'a> {
    id: BudgetId,
    compiled: &'a Compiled,
    key: KeyHash,
    now: Nanos,
}

impl Place<'_> {
    fn enter<S: Store>(
        &self,
        entry: Entry,
        store: &mut S,
    ) -> Result<(Reservation, Statement), GaveUp> {
        let account = self.compiled.account(self.key, self.now);
        let block = self.key.block(self.compiled.blocks);
        store.update(self.id.index(), block, |block| account.enter(entry, block))
    }
}
