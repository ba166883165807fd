//! The metrics of each budget.

use portcullis_host::{Counter, CountersBy, Gauge, Metrics, TableMetrics};
use retry_budget_policy::{Evaluation, Reason, Recorded};

/// The metrics of one budget.
#[derive(Debug)]
pub(crate) struct BudgetMetrics {
    deposits: Counter,
    retries_granted: Counter,
    retries_used: Counter,
    denied: CountersBy<Reason>,
    shadow_denied: CountersBy<Reason>,
    inbound_retries: Counter,
    inbound_denied: CountersBy<Reason>,
    shadow_inbound_denied: CountersBy<Reason>,
    balance: Gauge,
    pub(crate) breaker_missing: Gauge,
    pub(crate) errors: Counter,
    pub(crate) table: TableMetrics,
}

impl BudgetMetrics {
    pub(crate) fn define(metrics: &Metrics, budget: &str) -> Self {
        let metrics = metrics.with("budget", budget);
        let by_reason = |metric| metrics.counters_by("reason", metric);
        Self {
            deposits: metrics.counter("deposits"),
            retries_granted: metrics.counter("retries_granted"),
            retries_used: metrics.counter("retries_used"),
            denied: by_reason("denied"),
            shadow_denied: by_reason("shadow_denied"),
            inbound_retries: metrics.counter("inbound_retries"),
            inbound_denied: by_reason("inbound_denied"),
            shadow_inbound_denied: by_reason("shadow_inbound_denied"),
            balance: metrics.gauge("balance"),
            breaker_missing: metrics.gauge("breaker_missing"),
            errors: metrics.counter("errors"),
            table: metrics.table(),
        }
    }

    /// Sets the gauges of a removed budget to 0, except `occupancy`: its keys still take memory.
    pub(crate) fn retire(metrics: &Metrics, budget: &str) {
        for gauge in ["balance", "breaker_missing"] {
            metrics.with("budget", budget).gauge(gauge).set(0);
        }
    }

    /// Counts the decision on a request.
    pub(crate) fn count(&self, evaluation: &Evaluation) {
        if evaluation.is_inbound_retry() {
            self.inbound_retries.increment();
        }
        self.retries_granted.add(evaluation.granted());
        if let Some(reason) = evaluation.denial() {
            match evaluation.is_enforced() {
                true => self.inbound_denied.increment(reason),
                false => self.shadow_inbound_denied.increment(reason),
            }
        }
        if evaluation.is_error() {
            self.errors.increment();
        }
        self.show(evaluation.balance());
        self.table.count(evaluation.table());
    }

    /// Counts what the request used.
    pub(crate) fn count_recorded(&self, evaluation: &Evaluation, recorded: &Recorded) {
        if recorded.deposited {
            self.deposits.increment();
        }
        self.retries_used.add(recorded.used);
        if let Some(reason) = recorded.denied {
            match evaluation.is_enforced() {
                true => self.denied.increment(reason),
                false => self.shadow_denied.increment(reason),
            }
        }
        self.show(recorded.balance);
        self.table.count(recorded.table);
    }

    fn show(&self, balance: Option<u32>) {
        if let Some(balance) = balance {
            self.balance.set(balance.into());
        }
    }
}
