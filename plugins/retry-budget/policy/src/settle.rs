//! What a request did cost, when its response is there or its stream has ended.

use bytes::Bytes;

use super::RetryBudget;
use super::account::Closing;
use super::evaluation::{Evaluation, Reason, Stop};
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;
use portcullis_table::Store;
use portcullis_table::TableEvents;

/// The flag `UH` of Envoy's access log: there was no healthy host to send it to.
const NO_HEALTHY_UPSTREAM: u64 = 0x2;

/// The flag `UO`: a limit of the cluster's own circuit breakers kept back the request, or a retry of it.
const UPSTREAM_OVERFLOW: u64 = 0x80;

/// The flag `URX` of Envoy's access log: it would have sent the request once more, but had no retries
/// left.
const RETRY_LIMIT_EXCEEDED: u64 = 0x8000;

/// The response header that tells the caller not to send the request again.
const RETRY: Bytes = Bytes::from_static(b"x-portcullis-retry");
/// The same for gRPC (gRFC A6): a negative number.
const PUSHBACK: Bytes = Bytes::from_static(b"grpc-retry-pushback-ms");

const GRPC_STATUS: &str = "grpc-status";

/// The gRPC statuses that Envoy can retry on: CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED,
/// INTERNAL, UNAVAILABLE.
const GRPC_FAILURES: [&[u8]; 5] = [b"1", b"4", b"8", b"13", b"14"];

/// What Envoy says of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report<'a> {
    /// How often the router began to send it, `upstream.request_attempt_count`.
    pub attempts: u64,
    /// `response.flags`; 0 unless [`Evaluation::needs_flags`].
    pub flags: u64,
    /// `response.code_details`; empty unless [`Report::needs_details`].
    pub details: &'a [u8],
}

impl Report<'_> {
    /// Whether the details are needed: to tell a request that was kept back from one whose retry was.
    pub fn needs_details(&self) -> bool {
        self.attempts == 1 && self.flags & UPSTREAM_OVERFLOW != 0
    }

    /// Whether the request, or some attempt of it, went to a host of the upstream. The router counts an
    /// attempt before it looks for a host, and before it asks the cluster's limits.
    fn reached_upstream(&self) -> bool {
        let is_kept_back = || {
            let overflow = b"overflow";
            let mut words = self.details.windows(overflow.len());
            self.needs_details() && words.any(|word| word == overflow)
        };
        match self.attempts {
            0 => false,
            1 => self.flags & NO_HEALTHY_UPSTREAM == 0 && !is_kept_back(),
            _ => true,
        }
    }
}

/// What came of a request in the end, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// How many retries it had, of those that it was granted.
    pub used: u32,
    /// Why it had no more, if there would have been more otherwise.
    pub denied: Option<Reason>,
    /// Whether it has deposited.
    pub deposited: bool,
    /// For how many more retries there is something in the budget, if that changed.
    pub balance: Option<u32>,
    /// What this did to the budget's table.
    pub table: TableEvents,
}

impl Evaluation {
    /// Whether [`RetryBudget::settle`] has something to do.
    pub fn needs_report(&self) -> bool {
        let is_over = self.is_settled || (self.is_enforced && self.is_denied);
        !is_over && (!self.is_inbound_retry() || self.held.is_some() || self.is_exhausted())
    }

    /// Whether it then needs the flags of a request that was sent so often.
    pub fn needs_flags(&self, attempts: u64) -> bool {
        let may_be_short = attempts > 0 && self.is_enforced && self.is_short();
        let may_be_kept_back = attempts == 1 && (self.deposits || self.is_inbound_retry());
        may_be_short || may_be_kept_back
    }

    /// Whether [`RetryBudget::on_response`] has something to do.
    pub fn needs_response(&self) -> bool {
        self.stop == Stop::IfFailed
    }

    /// Whether [`RetryBudget::on_trailers`] has something to do.
    pub fn needs_trailers(&self) -> bool {
        self.stop == Stop::IfTrailersFailed
    }
}

impl RetryBudget {
    /// Gives back what was not used, and enters the deposit, in one step. Once for each request, as soon as its response begins or its stream
    /// ends: there are no retries after that.
    ///
    /// If the store gives up, what was reserved stays withdrawn until it leaves the window, and nothing is
    /// deposited.
    pub fn settle<S: Store>(
        &self,
        evaluation: &mut Evaluation,
        report: Report<'_>,
        now: u64,
        store: &mut S,
    ) -> Settlement {
        evaluation.is_settled = true;
        let sent = u32::try_from(report.attempts).unwrap_or(u32::MAX);
        let retries = match evaluation.is_inbound_retry() {
            true => 0,
            false => sent.saturating_sub(1),
        };
        let used = retries.min(evaluation.granted);
        let wanted_more = match evaluation.is_enforced {
            true => report.flags & RETRY_LIMIT_EXCEEDED != 0,
            false => retries > used,
        };
        let mut settlement = Settlement {
            used,
            denied: evaluation
                .reason
                .filter(|_| evaluation.is_short() && sent > 0 && wanted_more),
            ..Settlement::default()
        };
        let reached = report.reached_upstream();
        let cost = match evaluation.is_inbound_retry() {
            true => u32::from(reached),
            false => used,
        };
        let unused = evaluation.held.take().and_then(|reserved| {
            let unused = reserved.retries().saturating_sub(cost);
            (unused > 0).then_some((reserved, unused))
        });
        let closing = Closing {
            deposits: evaluation.deposits && reached,
            unused,
        };
        // Whether there is something for a retry by the caller, if that is not known yet.
        let is_asked = sent > 0 && evaluation.balance.is_none() && evaluation.reason.is_none();
        if (closing.deposits || closing.unused.is_some() || is_asked)
            && let Some(compiled) = self.get(evaluation.budget)
        {
            let key = evaluation.key;
            let account = compiled.account(key, now);
            let block = key.block(compiled.blocks);
            let closed = store.update(evaluation.budget.index(), block, |block| {
                account.close(closing, block)
            });
            if let Ok(statement) = closed {
                settlement.deposited = closing.deposits;
                evaluation.balance = Some(statement.balance);
                settlement.balance = evaluation.balance;
                settlement.table = statement.table;
            }
        }
        let is_upstreams = sent > 0 && evaluation.is_enforced;
        if is_upstreams && evaluation.is_exhausted() {
            evaluation.stop = Stop::IfFailed;
        }
        settlement
    }

    /// Tells the caller not to send the request again, if the response is a failure. Of a gRPC response
    /// the trailers may have to tell that.
    pub fn on_response(&self, evaluation: &mut Evaluation, response: &mut HeaderMap) {
        if !evaluation.needs_response() {
            return;
        }
        evaluation.stop = Stop::No;
        let is_server_error = response
            .get(":status")
            .is_some_and(|status| status.starts_with(b"5"));
        // gRPC-Web has no pushback, and its trailers are in the body.
        let is_http2 = evaluation.grpc == Some(Grpc::Http2);
        let is_failure = match response.get(GRPC_STATUS) {
            Some(status) if evaluation.grpc.is_some() => is_grpc_failure(status),
            None if is_http2 && !is_server_error => {
                evaluation.stop = Stop::IfTrailersFailed;
                false
            }
            _ => is_server_error,
        };
        if is_failure {
            response.set(RETRY, "no".into());
            if is_http2 {
                response.set(PUSHBACK, "-1".into());
            }
        }
    }

    /// The same for the trailers of a gRPC response.
    pub fn on_trailers(&self, evaluation: &mut Evaluation, trailers: &mut HeaderMap) {
        let is_failure = trailers
            .get(GRPC_STATUS)
            .is_some_and(|status| is_grpc_failure(status));
        if evaluation.needs_trailers() && is_failure {
            trailers.set(PUSHBACK, "-1".into());
        }
    }
}

fn is_grpc_failure(status: &[u8]) -> bool {
    GRPC_FAILURES.contains(&status)
}
