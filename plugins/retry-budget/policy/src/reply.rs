//! The response to a denied retry.

use bytes::Bytes;

use super::RetryBudget;
use super::evaluation::{Evaluation, Reason};
use portcullis_core::config::{Mode, Name, OnError};
use portcullis_core::grpc::Grpc;
use portcullis_core::label::{ByLabel, Label as _};
use portcullis_core::reply::Reply;

/// The gRPC status of a denied retry.
const UNAVAILABLE: u32 = 14;

const RETRY_AFTER: Bytes = Bytes::from_static(b"retry-after");
const PUSHBACK: Bytes = Bytes::from_static(b"grpc-retry-pushback-ms");
const BODY: Bytes = Bytes::from_static(b"Retry budget exhausted\n");

impl RetryBudget {
    /// Whether requests get no retries if the proxy fails, so that no budget could decide.
    pub fn denies_on_error(&self) -> bool {
        let mut budgets = self.active();
        self.mode == Mode::Enforce
            && self.on_error == OnError::Deny
            && budgets.any(|(_, compiled)| compiled.budget.mode == Mode::Enforce)
    }

    /// The response to a request whose retries could not be forbidden.
    pub fn unavailable(&self) -> Reply {
        Reply {
            status: 503,
            grpc_status: Some(UNAVAILABLE),
            details: Bytes::from_static(b"retry_budget_unavailable"),
            headers: Vec::new(),
            body: BODY,
        }
    }

    /// The response, if the request is denied. `random` is any number, evenly distributed; it spreads out the clients
    /// that return.
    pub fn reply(&self, evaluation: &Evaluation, random: u64) -> Option<Reply> {
        let reason = evaluation.denial().filter(|_| evaluation.is_enforced)?;
        let compiled = self.get(evaluation.budget)?;
        let budget = &compiled.budget;
        let retry_after = budget.backoff.retry_after(evaluation.retry, random);
        let mut headers = vec![(RETRY_AFTER, retry_after.to_string().into())];
        if evaluation.grpc == Some(Grpc::Http2) {
            headers.push((PUSHBACK, "-1".into()));
        }
        Some(Reply {
            status: budget.deny_status.get(),
            grpc_status: Some(UNAVAILABLE),
            details: compiled.details.of_reason(reason),
            headers,
            body: BODY,
        })
    }
}

/// The response-code details of a budget's replies, such as `retry_budget_empty{orders}`.
#[derive(Clone, Debug)]
pub(super) struct Details(ByLabel<Reason, Bytes>);

impl Details {
    pub(super) fn of(budget: &Name) -> Self {
        let details = |reason: Reason| {
            let label = reason.label();
            let label = label.strip_prefix("budget_").unwrap_or(label);
            format!("retry_budget_{label}{{{budget}}}").into()
        };
        Self(ByLabel::new(details))
    }

    fn of_reason(&self, reason: Reason) -> Bytes {
        self.0.get(reason).cloned().unwrap_or_default()
    }
}
