//! The headers that control Envoy's router.
//!
//! The router takes the number of retries from `x-envoy-max-retries`, which overrides the route's policy, and adds the
//! conditions in `x-envoy-retry-on` and `x-envoy-retry-grpc-on` to those of the policy. Envoy removes these headers
//! only from the requests of external clients, so anyone else could set them. Therefore the number is always set, and
//! the conditions of a client are replaced.
//!
//! A request that should have retries but is granted none still gets the conditions: only with them does the router
//! notice that it would have retried. It then sets the flag `URX`, which [`recording`](super::recording) counts as
//! denied. For a request that should have no retries (mostly a POST), 0 is enough: conditions have no effect then, and
//! the router removes them itself.
//!
//! Timeouts that a client asks for, including `x-envoy-upstream-rq-per-try-timeout-ms`, are kept: they make retries
//! more likely, but not more numerous.

use bytes::Bytes;

use super::RetryBudget;
use super::evaluation::Evaluation;
use portcullis_core::headers::{HeaderMap, SHADOW_HEADER};

const MAX_RETRIES: Bytes = Bytes::from_static(b"x-envoy-max-retries");
const RETRY_ON: Bytes = Bytes::from_static(b"x-envoy-retry-on");
const RETRY_GRPC_ON: Bytes = Bytes::from_static(b"x-envoy-retry-grpc-on");
const STATUS_CODES: Bytes = Bytes::from_static(b"x-envoy-retriable-status-codes");
const HEADER_NAMES: Bytes = Bytes::from_static(b"x-envoy-retriable-header-names");
const HEDGE: Bytes = Bytes::from_static(b"x-envoy-hedge-on-per-try-timeout");

impl RetryBudget {
    /// Forbids the router to retry a request.
    pub fn forbid_retries(&self, request: &mut HeaderMap) {
        request.set(MAX_RETRIES, digits(0));
    }

    /// Sets how many retries the router may make for a request. In shadow mode, it only marks a request that would get
    /// fewer than it should have.
    pub fn write_headers(&self, evaluation: &Evaluation, request: &mut HeaderMap) {
        let Some(compiled) = self.get(evaluation.budget) else {
            return;
        };
        let budget = &compiled.budget;
        if !evaluation.is_enforced {
            if evaluation.is_denied || evaluation.is_short() {
                let mark = format!("retry_budget;{}", budget.name);
                request.append(SHADOW_HEADER.into(), mark.into());
            }
            return;
        }
        request.set(MAX_RETRIES, digits(evaluation.granted));
        if evaluation.wanted == 0 {
            return;
        }
        let conditions = &compiled.conditions;
        for (name, value) in [
            (RETRY_ON, conditions.http.as_ref()),
            (RETRY_GRPC_ON, conditions.grpc.as_ref()),
            (STATUS_CODES, conditions.status_codes.as_ref()),
            (HEADER_NAMES, conditions.header_names.as_ref()),
            (HEDGE, None),
        ] {
            match value {
                Some(value) => request.set(name, value.clone()),
                None => {
                    request.remove(name);
                }
            }
        }
    }
}

/// A number of retries from 0 to 10, in digits.
fn digits(retries: u32) -> Bytes {
    const DIGITS: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    let index = usize::try_from(retries).unwrap_or(usize::MAX);
    let digits = DIGITS.get(index).copied();
    Bytes::from_static(digits.unwrap_or("0").as_bytes())
}
