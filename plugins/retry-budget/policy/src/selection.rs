//! The budget that a request falls under, if it can be read in more than one way.
//!
//! A budget restricts and grants: it pays for retries, and a deposit pays for those of others. So what
//! fits a `match` only in some [readings](portcullis_core::readings) is under the budget, and earns nothing.
//!
//! | the request fits | it falls under | deposits | retries |
//! |---|---|---|---|
//! | one budget first, in all readings | this budget | yes | of this budget |
//! | others, too, in another letter case, or other spellings of host and headers | the strictest, else the first | no | of this budget |
//! | others, too, in another reading of its path | the strictest, else the first | no | none |
//!
//! Strict is, in this order: a budget that is enforced before one in shadow mode; of a request that is a
//! retry itself, one that denies it before one that counts it, and that before one that does not care.

use super::inbound::InboundRetries;
use super::{BudgetId, Compiled, RetryBudget};
use portcullis_core::config::Mode;
use portcullis_core::matcher::{FirstMatch, Subject};

/// A budget for a request.
pub(super) struct Selection<'a> {
    pub(super) id: BudgetId,
    pub(super) compiled: &'a Compiled,
    /// Whether it is the budget in every reading.
    pub(super) is_certain: bool,
    /// Whether the path has readings that are under different budgets.
    pub(super) is_ambiguous: bool,
}

impl RetryBudget {
    /// The budget of a request; none if no budget is possibly for it.
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
        // The first of several that are as strict as each other.
        let strictest = candidates()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .max_by_key(strictness)?;
        select(strictest, is_ambiguous)
    }

    /// Whether what this budget decides is carried out.
    pub(super) fn is_enforced(&self, compiled: &Compiled) -> bool {
        self.mode == Mode::Enforce && compiled.budget.mode == Mode::Enforce
    }
}
