//! The cost that a response reports, and the headers that it gets.

use super::evaluate::{Evaluation, Reservation};
use super::limiter::{Action, LimitEvents};
use super::{LimitId, RateLimit};
use portcullis_core::headers::HeaderMap;
use portcullis_core::time::Nanos;
use portcullis_table::Store;

impl RateLimit {
    /// Charges or refunds the difference between the cost that the response reports and the cost that was
    /// reserved, and adds the response headers.
    ///
    /// Returns the effects on the tables, for metrics. If a store gives up, the reservation stands.
    pub fn on_response<S: Store>(
        &self,
        evaluation: &mut Evaluation,
        response: &mut HeaderMap,
        now: Nanos,
        store: &mut S,
    ) -> Vec<(LimitId, LimitEvents)> {
        if evaluation.is_denied {
            // The response is the plugin's own reply.
            return Vec::new();
        }
        let mut events = Vec::new();
        for check in &mut evaluation.checks {
            let actual = self.get(check.limit).and_then(|compiled| {
                let charge = compiled.limit.charge_response.as_ref()?;
                charge.actual(response)
            });
            let (Some(actual), Some(reserved)) = (actual, check.reservation.take()) else {
                continue;
            };
            let action = match actual > reserved.cost {
                true => Action::Charge,
                false => Action::Refund {
                    spent_at: evaluation.evaluated_at,
                },
            };
            let difference = Reservation {
                cost: actual.abs_diff(reserved.cost),
                ..reserved
            };
            if let Ok(result) = self.adjust(check, action, difference, now, store) {
                check.quota = Some(result.quota);
                events.push((check.limit, result.events));
            }
        }
        self.add_headers(evaluation, response);
        events
    }
}
