//! The metrics of a limit.

use std::cell::Cell;

use portcullis_host::{Counter, CountersBy, Metrics, TableMetrics};
use rate_limit_policy::fleet::config::{Fleet, OnOutage};
use rate_limit_policy::fleet::lease::End;
use rate_limit_policy::{CallResult, Check, CommitResult, Decision, LimitEvents, Reason};

/// The metrics of any limit.
#[derive(Debug)]
pub(crate) struct Counters {
    admitted: Counter,
    near_limit: Counter,
    denied: CountersBy<Reason>,
    shadow_denied: CountersBy<Reason>,
    pub(crate) errors: Counter,
    forgiven: Counter,
    pub(crate) table: TableMetrics,
}

impl Counters {
    pub(crate) fn define(metrics: &Metrics) -> Self {
        Self {
            admitted: metrics.counter("admitted"),
            near_limit: metrics.counter("near_limit"),
            denied: metrics.counters_by("reason", "denied"),
            shadow_denied: metrics.counters_by("reason", "shadow_denied"),
            errors: metrics.counter("errors"),
            forgiven: metrics.counter("forgiven"),
            table: metrics.table(),
        }
    }

    pub(crate) fn count(&self, check: &Check) {
        match check.decision() {
            Decision::Admitted => self.admitted.increment(),
            Decision::Denied(reason) => self.denied.increment(reason),
            Decision::ShadowDenied(reason) => self.shadow_denied.increment(reason),
            Decision::Released | Decision::Uncounted => {}
        }
        if check.is_near_limit() {
            self.near_limit.increment();
        }
        if check.is_error() {
            self.errors.increment();
        }
        self.count_events(check.events());
    }

    pub(crate) fn count_events(&self, events: LimitEvents) {
        self.table.count(events.table);
        self.forgiven.add(events.forgiven);
    }
}

/// The metrics of a limit with a fleet, in addition.
#[derive(Debug)]
pub(crate) struct FleetCounters {
    pub(crate) taken: Counter,
    pub(crate) returned: Counter,
    pub(crate) wasted: Counter,
    /// Leases that ended, and the sum of their ages.
    pub(crate) leases: CountersBy<End>,
    pub(crate) lease_milliseconds: CountersBy<End>,
    pub(crate) cached_denials: Counter,
    pub(crate) released: Counter,
    pub(crate) commits: CountersBy<CommitResult>,
    pub(crate) calls: CountersBy<CallResult>,
    pub(crate) waited: Counter,
    pub(crate) outage: CountersBy<OnOutage>,
    pub(crate) table: TableMetrics,
    /// The name of the limit.
    pub(crate) limit: String,
    /// Whether the log says that the service has another limit.
    pub(crate) has_warned: Cell<bool>,
}

impl FleetCounters {
    pub(crate) fn define(limit: &str, fleet: &Fleet, metrics: &Metrics) -> Self {
        metrics.gauge("fleet_mode").set(fleet.has_leases().into());
        metrics
            .gauge("fleet_on_outage")
            .set(match fleet.on_outage() {
                OnOutage::Local => 0,
                OnOutage::Allow => 1,
                OnOutage::Deny => 2,
            });
        Self {
            taken: metrics.counter("fleet_taken"),
            returned: metrics.counter("fleet_returned"),
            wasted: metrics.counter("fleet_wasted"),
            leases: metrics.counters_by("result", "fleet_leases"),
            lease_milliseconds: metrics.counters_by("result", "fleet_lease_milliseconds"),
            cached_denials: metrics.counter("fleet_cached_denials"),
            released: metrics.counter("fleet_released"),
            commits: metrics.counters_by("result", "fleet_commits"),
            calls: metrics.counters_by("result", "fleet_calls"),
            waited: metrics.counter("fleet_waited"),
            outage: metrics.counters_by("result", "fleet_outage"),
            table: metrics.table_of("fleet_"),
            limit: limit.to_owned(),
            has_warned: Cell::new(false),
        }
    }
}
