//! The budget that a request belongs to, if it has more than one reading.
//!
//! A budget restricts and grants: it pays for retries, and a deposit pays for the retries of others. So a request that
//! fits a `match` only in some [readings](portcullis_core::readings) belongs to the budget, but does not deposit.
//!
//! | the request fits | it belongs to | deposits | retries |
//! |---|---|---|---|
//! | one budget first, in all readings | this budget | yes | of this budget |
//! | others, too, in another letter case, or other spellings of host and headers | the strictest, else the first | no | of this budget |
//! | others, too, in another reading of its path | the strictest, else the first | no | none |
//!
//! An enforced budget is stricter than one in shadow mode. Among these, for a request that is already a retry, a
//! budget that denies it is stricter than one that counts it, and that is stricter than one that ignores it.

use super::inbound::InboundRetries;
use super::{BudgetId, Compiled, RetryBudget};
use portcullis_core::config::Mode;
use portcullis_core::matcher::{FirstMatch, Subject};

/// The budget of a request.
pub(super) struct Selection<'a> {
    pub(super) id: BudgetId,
    pub(super) compiled: &'a Compiled,
    /// Whether it is the budget in every reading.
    pub(super) is_certain: bool,
    /// Whether the path has readings that belong to different budgets.
    pub(super) is_ambiguous: bool,
}

impl RetryBudget {
    /// The budget of a request; `None` if no budget can apply to it.
    pub(super) fn select(
        &self,
        subject: &Subject<'_>,
        is_redirected: bool,
    ) -> Option<Selection<'_>> {
        let conditions = self.active().map(|(_, it)| it.budget.condition.as_ref());
        let FirstMatch { possible, certain } = FirstMatch::of(conditions, subject);
        let select = |position, is_ambiguous| {
            let (id, compiled) = self.active().nth(position)?;
            Some(Selection {
                id,
                compiled,
                is_certain: possible.is_empty(),
                is_ambiguous,
            })
        };
        if possible.is_empty() {
            return select(certain?, false);
        }
        let candidates = || possible.iter().copied().chain(certain);
        let is_ambiguous = candidates().nth(1).is_some() && !subject.has_one_path();
        let strictness = |position: &usize| {
            let (_, compiled) = self.active().nth(*position)?;
            let budget = &compiled.budget;
            let inbound = match budget.inbound_retry(subject.headers(), is_redirected) {
                0 => InboundRetries::Ignore,
                _ => budget.inbound_retries,
            };
            Some((self.is_enforced(compiled), inbound.strictness()))
        };
        // The first of several equally strict ones.
        let strictest = candidates()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .max_by_key(strictness)?;
        select(strictest, is_ambiguous)
    }

    /// Whether the decisions of this budget are carried out.
    pub(super) fn is_enforced(&self, compiled: &Compiled) -> bool {
        self.mode == Mode::Enforce && compiled.budget.mode == Mode::Enforce
    }
}
