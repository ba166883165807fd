//! The answer to a retry that is denied.

use bytes::Bytes;

use super::RetryBudget;
use super::evaluation::Evaluation;
use crate::reply::Reply;

/// The gRPC status of a request that would only make matters worse.
const UNAVAILABLE: u32 = 14;

const RETRY_AFTER: Bytes = Bytes::from_static(b"retry-after");
const PUSHBACK: Bytes = Bytes::from_static(b"grpc-retry-pushback-ms");
const BODY: Bytes = Bytes::from_static(b"Retry budget exhausted\n");

impl RetryBudget {
    /// The answer, if the request must not pass. `random` is any number, evenly distributed; it spreads
    /// out those that come back.
    pub fn reply(&self, evaluation: &Evaluation, random: u64) -> Option<Reply> {
        let reason = evaluation.denial().filter(|_| evaluation.is_enforced)?;
        let budget = &self.get(evaluation.budget)?.budget;
        let retry_after = budget.backoff.retry_after(evaluation.retry, random);
        let mut headers = vec![(RETRY_AFTER, retry_after.to_string().into())];
        if evaluation.is_grpc {
            headers.push((PUSHBACK, "-1".into()));
        }
        Some(Reply {
            status: budget.deny_status.get(),
            grpc_status: Some(UNAVAILABLE),
            details: reason.details().into(),
            headers,
            body: BODY,
        })
    }
}
