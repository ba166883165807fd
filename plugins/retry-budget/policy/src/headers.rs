//! What Envoy's router is told.
//!
//! The router takes the number of retries from `x-envoy-max-retries`, whatever the route's policy says,
//! and adds the conditions of `x-envoy-retry-on` and `x-envoy-retry-grpc-on` to those of the policy. It
//! believes everybody who can set them: Envoy removes them from requests of external clients only. So
//! the number is always set, and conditions that a client brought along are replaced.
//!
//! A request that should have retries and is granted none has the conditions all the same: only then the
//! router notices that it would have retried, and says so with the flag `URX`, which is what
//! [`settle`](super::settle) counts as denied. For a request that should have none (a POST, mostly), 0 is
//! enough: conditions mean nothing then, and the router removes them itself.
//!
//! Timeouts that a client asks for, `x-envoy-upstream-rq-per-try-timeout-ms` included, stay: they make
//! retries likelier, but no more of them.

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
    /// Tells the router that a request may have no retries.
    pub fn forbid_retries(&self, request: &mut HeaderMap) {
        request.set(MAX_RETRIES, digits(0));
    }

    /// Tells the router how many retries the request may have; in shadow mode, marks it if that would be
    /// fewer than wanted.
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

/// A number of retries in digits: one of 0 to 10.
fn digits(retries: u32) -> Bytes {
    const DIGITS: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    let index = usize::try_from(retries).unwrap_or(usize::MAX);
    let digits = DIGITS.get(index).copied();
    Bytes::from_static(digits.unwrap_or("0").as_bytes())
}
