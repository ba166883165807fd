//! What is counted of each budget.

use portcullis_host::{Counter, CountersBy, Gauge, Metrics};
use retry_budget_policy::{Evaluation, Reason, Settlement, TableEvents};

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
    occupancy: Gauge,
    evictions: Counter,
    malformed: Counter,
    pub(crate) cas_retries: Counter,
    pub(crate) gave_up: Counter,
}

impl BudgetMetrics {
    pub(crate) fn define(metrics: &Metrics, budget: &str) -> Self {
        let labels = &[("budget", budget)];
        let counter = |metric| metrics.counter(metric, labels);
        let by_reason = |metric| {
            CountersBy::define(&Reason::ALL, |reason| {
                metrics.counter(metric, &[("budget", budget), ("reason", reason.label())])
            })
        };
        Self {
            deposits: counter("deposits"),
            retries_granted: counter("retries_granted"),
            retries_used: counter("retries_used"),
            denied: by_reason("denied"),
            shadow_denied: by_reason("shadow_denied"),
            inbound_retries: counter("inbound_retries"),
            inbound_denied: by_reason("inbound_denied"),
            shadow_inbound_denied: by_reason("shadow_inbound_denied"),
            balance: metrics.gauge("balance", labels),
            breaker_missing: metrics.gauge("breaker_missing", labels),
            errors: counter("errors"),
            occupancy: metrics.gauge("occupancy", labels),
            evictions: counter("evictions"),
            malformed: counter("malformed"),
            cas_retries: counter("cas_retries"),
            gave_up: counter("gave_up"),
        }
    }

    /// Sets the gauges of a budget that is gone to 0, but for `occupancy`: its keys still take memory.
    pub(crate) fn retire(metrics: &Metrics, budget: &str) {
        for gauge in ["balance", "breaker_missing"] {
            metrics.gauge(gauge, &[("budget", budget)]).set(0);
        }
    }

    /// Counts what was decided about a request.
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
        self.count_table(evaluation.table());
    }

    /// Counts what came of it in the end.
    pub(crate) fn count_settlement(&self, evaluation: &Evaluation, settlement: &Settlement) {
        if settlement.deposited {
            self.deposits.increment();
        }
        self.retries_used.add(settlement.used);
        if let Some(reason) = settlement.denied {
            match evaluation.is_enforced() {
                true => self.denied.increment(reason),
                false => self.shadow_denied.increment(reason),
            }
        }
        self.show(settlement.balance);
        self.count_table(settlement.table);
    }

    fn show(&self, balance: Option<u32>) {
        if let Some(balance) = balance {
            self.balance.set(balance.into());
        }
    }

    fn count_table(&self, events: TableEvents) {
        if events.occupied {
            self.occupancy.increment();
        }
        if events.evicted {
            self.evictions.increment();
        }
        if events.malformed {
            self.malformed.increment();
        }
    }
}
