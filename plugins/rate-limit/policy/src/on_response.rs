//! The cost that a response shows, and the headers that it gets.

use super::charge::{ChargeResponse, MetadataKey};
use super::evaluate::Evaluation;
use super::fleet_limits::{Ledger, Services};
use super::limiter::LimitEvents;
use super::{LimitId, RateLimit};
use portcullis_core::headers::HeaderMap;
use portcullis_core::time::Nanos;
use portcullis_table::Store;

/// The effects of charges and refunds on the tables of limits, for metrics.
pub type ChargeEvents = Vec<(LimitId, LimitEvents)>;

impl RateLimit {
    /// Charges or refunds the difference between the cost in the response's headers and the cost that was reserved,
    /// and adds the response headers.
    ///
    /// If a store gives up, the reservation stands.
    pub fn on_response<S: Store, H: Services>(
        &self,
        evaluation: &mut Evaluation,
        response: &mut HeaderMap,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> ChargeEvents {
        if evaluation.is_denied {
            // The response is the plugin's own reply.
            return Vec::new();
        }
        let events = self.charge(evaluation, now, store, services, |charge, reserved| {
            let is_decided = charge.is_decided_by(response);
            is_decided.then(|| charge.in_headers(response, reserved))
        });
        self.add_to_response(evaluation, response);
        events
    }

    /// The same for the response's trailers, which get no headers.
    pub fn on_trailers<S: Store, H: Services>(
        &self,
        evaluation: &mut Evaluation,
        trailers: &HeaderMap,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> ChargeEvents {
        self.charge(
            evaluation,
            now,
            store,
            services,
            |charge, reserved| match charge {
                ChargeResponse::Trailer(..) => Some(charge.in_headers(trailers, reserved)),
                _ => None,
            },
        )
    }

    /// The same for the dynamic metadata at the end of the stream. `metadata` reads a number by namespace and key.
    pub fn on_end<S: Store, H: Services>(
        &self,
        evaluation: &mut Evaluation,
        metadata: impl Fn(&str, &str) -> Option<f64>,
        now: Nanos,
        store: &mut S,
        services: &mut H,
    ) -> ChargeEvents {
        self.charge(evaluation, now, store, services, |charge, _| match charge {
            ChargeResponse::Metadata(MetadataKey { namespace, key }, _) => {
                let number = metadata(namespace.as_str(), key.as_str());
                Some(number.and_then(|number| charge.in_metadata(number)))
            }
            _ => None,
        })
    }

    /// Adds the response headers, without any charge. That is all there is to do unless the policy
    /// [reads](Self::reads_response) the response.
    pub fn add_to_response(&self, evaluation: &Evaluation, response: &mut HeaderMap) {
        // The response may be the plugin's own reply.
        if !evaluation.is_denied {
            self.add_headers(evaluation, response);
            evaluation.add_to_response(response);
        }
    }

    /// Charges or refunds each reservation about which `actual` decides. It returns `None` if a later part of the
    /// response decides, and `Some(None)` if the reservation stands.
    fn charge<S: Store, H: Services>(
        &self,
        evaluation: &mut Evaluation,
        now: Nanos,
        store: &mut S,
        services: &mut H,
        actual: impl Fn(&ChargeResponse, u32) -> Option<Option<u32>>,
    ) -> ChargeEvents {
        let mut events = Vec::new();
        let mut ledger = Ledger {
            policy: self,
            now,
            store,
            services,
        };
        for check in &mut evaluation.checks {
            let charge = self
                .get(check.limit)
                .and_then(|compiled| compiled.limit.charge_response.as_ref());
            let (Some(charge), Some(reserved)) = (charge, check.reservation) else {
                continue;
            };
            let Some(actual) = actual(charge, reserved.cost) else {
                continue;
            };
            check.reservation = None;
            let Some(actual) = actual else {
                continue;
            };
            let charged = ledger.charge(check, reserved, actual, evaluation.evaluated_at);
            events.extend(charged.map(|events| (check.limit, events)));
        }
        events
    }
}
