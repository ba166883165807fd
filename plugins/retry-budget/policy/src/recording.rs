//! Recording what a request used, when its response begins or its stream ends.

use super::RetryBudget;
use super::account::Closing;
use super::evaluation::{Evaluation, Reason};
use super::stop_signal::StopSignal;
use portcullis_core::time::Nanos;
use portcullis_table::{Store, TableEvents};

/// The flag `UH` of Envoy's access log: there was no healthy host.
const NO_HEALTHY_UPSTREAM: u64 = 0x2;

/// The flag `UO`: a limit of the cluster's own circuit breakers rejected the request, or a retry of it.
const UPSTREAM_OVERFLOW: u64 = 0x80;

/// The flag `URX`: the router would have retried the request, but had no retries left.
const RETRY_LIMIT_EXCEEDED: u64 = 0x8000;

/// Envoy's description of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report<'a> {
    /// How often the router started to send the request: `upstream.request_attempt_count`.
    pub attempts: u64,
    /// `response.flags`; 0 unless [`Evaluation::needs_flags`].
    pub flags: u64,
    /// `response.code_details`; empty unless [`Report::needs_details`].
    pub details: &'a [u8],
}

impl Report<'_> {
    /// Whether the details are needed, to distinguish a rejected request from a rejected retry.
    pub fn needs_details(&self) -> bool {
        self.attempts == 1 && self.flags & UPSTREAM_OVERFLOW != 0
    }

    /// Whether an attempt of the request went to a host of the upstream. The router counts an attempt before it
    /// selects a host, and before it checks the limits of the cluster.
    fn reached_upstream(&self) -> bool {
        let was_rejected = || {
            let overflow = b"overflow";
            let mut words = self.details.windows(overflow.len());
            self.needs_details() && words.any(|word| word == overflow)
        };
        match self.attempts {
            0 => false,
            1 => self.flags & NO_HEALTHY_UPSTREAM == 0 && !was_rejected(),
            _ => true,
        }
    }
}

/// The recorded use of a request, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// How many of the granted retries it used.
    pub used: u32,
    /// Why it had no more retries, if it would otherwise have had more.
    pub denied: Option<Reason>,
    /// Whether it deposited.
    pub deposited: bool,
    /// How many more retries the budget pays for, if that changed.
    pub balance: Option<u32>,
    /// Side effects on the table of the budget.
    pub table: TableEvents,
}

impl Evaluation {
    /// Whether [`RetryBudget::record`] has something to do.
    pub fn needs_report(&self) -> bool {
        let is_over = self.is_recorded || (self.is_enforced && self.is_denied);
        !is_over && (!self.is_inbound_retry() || self.held.is_some() || self.is_exhausted())
    }

    /// Whether [`RetryBudget::record`] needs the flags of a request with this number of attempts.
    pub fn needs_flags(&self, attempts: u64) -> bool {
        let may_be_short = attempts > 0 && self.is_enforced && self.is_short();
        let may_be_rejected = attempts == 1 && (self.deposits || self.is_inbound_retry());
        may_be_short || may_be_rejected
    }
}

impl RetryBudget {
    /// Refunds the unused retries and enters the deposit, in one step. Call it once for each request, as soon as its
    /// response begins or its stream ends, because no retries follow after that.
    ///
    /// If the store gives up, the reserved retries stay withdrawn until they leave the window, and nothing is
    /// deposited.
    pub fn record<S: Store>(
        &self,
        evaluation: &mut Evaluation,
        report: Report<'_>,
        now: Nanos,
        store: &mut S,
    ) -> Recorded {
        evaluation.is_recorded = true;
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
        let mut recorded = Recorded {
            used,
            denied: evaluation
                .reason
                .filter(|_| evaluation.is_short() && sent > 0 && wanted_more),
            ..Recorded::default()
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
        // Whether the budget pays for a retry by the caller, if that is not known yet.
        let needs_balance = sent > 0 && evaluation.balance.is_none() && evaluation.reason.is_none();
        if (closing.deposits || closing.unused.is_some() || needs_balance)
            && let Some(compiled) = self.get(evaluation.budget)
        {
            let key = evaluation.key;
            let account = compiled.account(key, now);
            let block = key.block(compiled.blocks);
            let closed = store.update(evaluation.budget.index(), block, |block| {
                account.close(closing, block)
            });
            if let Ok(statement) = closed {
                recorded.deposited = closing.deposits;
                evaluation.balance = Some(statement.balance);
                recorded.balance = evaluation.balance;
                recorded.table = statement.table;
            }
        }
        let was_sent = sent > 0 && evaluation.is_enforced;
        if was_sent && evaluation.is_exhausted() {
            evaluation.stop_signal = StopSignal::IfFailed;
        }
        recorded
    }
}
