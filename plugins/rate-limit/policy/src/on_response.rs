//! What a request did cost, when its response is there.

use super::evaluate::{Evaluation, Reservation};
use super::limiter::{Action, LimitEvents, Operation, OperationResult};
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
    ) -> Vec<(LimitId, LimitEvents)> {
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
            let (Some(actual), Some(reservation)) = (charge, check.reservation.take()) else {
                continue;
            };
            let action = match actual > reservation.cost {
                true => Action::Charge,
                false => Action::Refund {
                    spent_at: evaluation.evaluated_at,
                },
            };
            let difference = Reservation {
                cost: actual.abs_diff(reservation.cost),
                ..reservation
            };
            if let Ok(result) = self.adjust(check.limit, difference, action, now, store) {
                check.quota = Some(result.quota);
                events.push((check.limit, result.events));
            }
        }
        self.add_headers(evaluation, response);
        events
    }

    /// Charges or gives back a cost.
    pub(super) fn adjust<S: Store>(
        &self,
        id: LimitId,
        Reservation { key, cost }: Reservation,
        action: Action,
        now: u64,
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
