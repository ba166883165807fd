//! The metrics of one breaker.

use circuit_breaker_policy::snapshot::GaugeDelta;
use circuit_breaker_policy::{
    Author, Cause, Check, Decision, Effects, Phase, Reason, Recorded, Verdict,
};
use portcullis_host::{Counter, CountersBy, Gauge, Metrics, TableMetrics};
use portcullis_table::GaveUp;

/// A successful request costs no counter: Envoy itself counts requests.
#[derive(Debug)]
pub(crate) struct Counters {
    rejected: CountersBy<Reason>,
    shadow_rejected: CountersBy<Reason>,
    failures: Counter,
    slow: Counter,
    neutral: Counter,
    neutral_by: Vec<(&'static str, Counter)>,
    abandoned: Counter,
    late: Counter,
    /// Attempts after the first.
    attempts: Counter,
    pub(crate) fallbacks: Counter,
    opened: CountersBy<Cause>,
    half_opened: Counter,
    closed: Counter,
    exceeded: CountersBy<Cause>,
    leases_expired: Counter,
    pub(crate) errors: Counter,
    state: Gauge,
    open_keys: Gauge,
    pub(crate) table: TableMetrics,
}

impl Counters {
    pub(crate) fn define(metrics: &Metrics, breaker: &str) -> Self {
        let metrics = &metrics.with("breaker", breaker);
        let counter = |metric| metrics.counter(metric);
        let by_reason = |metric| metrics.counters_by("reason", metric);
        let by_cause = |metric| metrics.counters_by("reason", metric);
        Self {
            rejected: by_reason("rejected"),
            shadow_rejected: by_reason("shadow_rejected"),
            failures: counter("failures"),
            slow: counter("slow"),
            neutral: counter("neutral"),
            neutral_by: Author::labels()
                .map(|author| (author, metrics.with("reason", author).counter("neutral_by")))
                .collect(),
            abandoned: counter("abandoned"),
            late: counter("late"),
            attempts: counter("retries"),
            fallbacks: counter("fallbacks"),
            opened: by_cause("opened"),
            half_opened: counter("half_opened"),
            closed: counter("closed"),
            exceeded: by_cause("exceeded"),
            leases_expired: counter("leases_expired"),
            errors: counter("errors"),
            state: metrics.gauge("state"),
            open_keys: metrics.gauge("open_keys"),
            table: metrics.table(),
        }
    }

    pub(crate) fn count_check(&self, check: &Check) {
        match check.decision() {
            Decision::Denied(reason) => self.rejected.increment(reason),
            Decision::ShadowDenied(reason) => self.shadow_rejected.increment(reason),
            Decision::Admitted | Decision::Released | Decision::Uncounted => {}
        }
        if check.is_error() {
            self.errors.increment();
        }
    }

    pub(crate) fn count_record(&self, record: &Recorded) {
        match record.verdict {
            Verdict::Success => {}
            Verdict::Failure => self.failures.increment(),
            Verdict::Neutral => {
                self.neutral.increment();
                let author = record.author.label();
                let by = self.neutral_by.iter().find(|(other, _)| *other == author);
                if let Some((_, counter)) = by {
                    counter.increment();
                }
            }
            Verdict::Abandoned => self.abandoned.increment(),
        }
        if record.is_slow {
            self.slow.increment();
        }
        let attempts = record.attempts.unwrap_or_default();
        self.attempts.add(attempts.saturating_sub(1));
        if record.is_error {
            self.errors.increment();
        }
    }

    pub(crate) fn count_effects(&self, effects: &Effects) {
        let events = effects.circuit;
        if let Some(transition) = events.transition {
            match (transition.to, transition.cause) {
                (Phase::Open, Some(cause)) => self.opened.increment(cause),
                (Phase::HalfOpen, _) => self.half_opened.increment(),
                (Phase::Closed | Phase::Open, _) => self.closed.increment(),
            }
        }
        if let Some(cause) = events.exceeded {
            self.exceeded.increment(cause);
        }
        self.leases_expired.add(events.leases_expired);
        if events.was_late {
            self.late.increment();
        }
        self.table.count(effects.table);
    }

    /// Adds the change of the snapshot to the gauges.
    pub(crate) fn add_to_gauges(&self, delta: Result<GaugeDelta, GaveUp>) {
        match delta {
            Ok(delta) => {
                self.state.add(delta.state);
                self.open_keys.add(delta.open_keys);
            }
            Err(GaveUp) => self.table.count_give_up(),
        }
    }
}

/// Adds to the gauges of a breaker that no longer has counters.
pub(crate) fn add_to_gauges_of(
    metrics: &Metrics,
    breaker: &str,
    delta: Result<GaugeDelta, GaveUp>,
) {
    if let Ok(delta) = delta {
        let metrics = metrics.with("breaker", breaker);
        metrics.gauge("state").add(delta.state);
        metrics.gauge("open_keys").add(delta.open_keys);
    }
}
