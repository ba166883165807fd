//! What a request did cost, when its response is there.

use super::evaluate::{Evaluation, Held};
use super::limiter::{Action, Operation, Standing, TableEffects};
use super::{LimitId, RateLimit};
use portcullis_core::headers::HeaderMap;
use portcullis_table::{GaveUp, Store};

impl RateLimit {
    /// Settles what the response says that the request did cost, and gives the response its headers.
    ///
    /// Returns what that did to the tables, for metrics. When a store gives up, what was reserved
    /// stands.
    pub fn on_response<S: Store>(
        &self,
        evaluation: &mut Evaluation,
        response: &mut HeaderMap,
        now: u64,
        store: &mut S,
    ) -> Vec<(LimitId, TableEffects)> {
        if evaluation.is_denied {
            // The response is our own reply.
            return Vec::new();
        }
        let mut events = Vec::new();
        for check in &mut evaluation.checks {
            let charge = self.get(check.limit).and_then(|compiled| {
                let charge = compiled.limit.charge_response.as_ref()?;
                charge.actual(response)
            });
            let (Some(actual), Some(held)) = (charge, check.held.take()) else {
                continue;
            };
            let action = match actual > held.cost {
                true => Action::Charge,
                false => Action::Refund {
                    spent_at: evaluation.now,
                },
            };
            let difference = Held {
                cost: actual.abs_diff(held.cost),
                ..held
            };
            if let Ok(standing) = self.adjust(check.limit, difference, action, now, store) {
                check.quota = Some(standing.quota);
                events.push((check.limit, standing.table));
            }
        }
        self.add_headers(evaluation, response);
        events
    }

    /// Charges or gives back a cost.
    pub(super) fn adjust<S: Store>(
        &self,
        id: LimitId,
        Held { key, cost }: Held,
        action: Action,
        now: u64,
        store: &mut S,
    ) -> Result<Standing, GaveUp> {
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
