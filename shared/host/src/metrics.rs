//! Counters and gauges in Envoy's statistics.
//!
//! The name of a statistic is `wasmcustom.portcullis.<plugin>.<labels><metric>`, with `dynamicmodulescustom` in place
//! of `wasmcustom` for the native library. A label is written `name=.=value;.;`. The first label is `policy`, the name
//! of the instance:
//!
//! ```text
//! wasmcustom.portcullis.security_headers.policy=.=edge;.;rule=.=api;.;responses
//! ```
//!
//! Neither ABI has labels that cost nothing on each change. The rules in `envoy/stats_tags.yaml` make Envoy extract them from this encoding, and
//! Prometheus sees `portcullis_security_headers_responses{policy="edge",rule="api"}`. A value cannot be confused
//! with the encoding, because names cannot contain `=` and `;`. Values come from the configuration only, never from
//! traffic: Envoy never deletes a statistic.

use portcullis_core::config::Name;
use portcullis_core::label::{ByLabel, Label};
use portcullis_table::TableEvents;

use crate::backend::{MetricId, MetricKind, backend};
use crate::error::Error;
use crate::warnings::warn_once;

/// Defines the metrics of one plugin instance. Use it when configuring.
#[derive(Clone, Debug)]
pub struct Metrics {
    prefix: String,
}

/// The metrics of one table. The default counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableMetrics {
    occupancy: Gauge,
    evictions: Counter,
    malformed: Counter,
    pub(crate) cas_retries: Counter,
    pub(crate) gave_up: Counter,
}

impl Metrics {
    /// The metrics of an instance of `plugin`, which is a name in snake case.
    pub fn new(plugin: &str, instance: &Name) -> Self {
        Self {
            prefix: format!("portcullis.{plugin}.policy=.={instance};.;"),
        }
    }

    /// The same metrics with one more label. Its value is a name from the configuration or a constant of the
    /// plugin, never anything from a request.
    #[must_use]
    pub fn with(&self, label: &str, value: &str) -> Self {
        Self {
            prefix: format!("{}{label}=.={value};.;", self.prefix),
        }
    }

    /// Defines a counter.
    pub fn counter(&self, metric: &str) -> Counter {
        Counter(self.define(MetricKind::Counter, metric))
    }

    /// Defines a gauge.
    pub fn gauge(&self, metric: &str) -> Gauge {
        Gauge(self.define(MetricKind::Gauge, metric))
    }

    /// Defines one counter for each value of a label.
    pub fn counters_by<T: Label>(&self, label: &str, metric: &str) -> CountersBy<T> {
        let counter = |value: T| self.with(label, value.label()).counter(metric);
        CountersBy(ByLabel::new(counter))
    }

    /// Defines the metrics of a table.
    pub fn table(&self) -> TableMetrics {
        self.table_of("")
    }

    /// Defines the metrics of a further table, whose names begin with `prefix`.
    pub fn table_of(&self, prefix: &str) -> TableMetrics {
        let counter = |metric: &str| self.counter(&format!("{prefix}{metric}"));
        TableMetrics {
            occupancy: self.gauge(&format!("{prefix}occupancy")),
            evictions: counter("evictions"),
            malformed: counter("malformed"),
            cas_retries: counter("cas_retries"),
            gave_up: counter("gave_up"),
        }
    }

    fn define(&self, kind: MetricKind, metric: &str) -> Option<MetricId> {
        let name = format!("{}{metric}", self.prefix);
        backend()
            .define_metric(kind, &name)
            .inspect_err(|error| log::warn!("metric {name} cannot be defined: {error}"))
            .ok()
    }
}

/// A number that only grows. A counter that could not be defined counts nothing: metrics never block traffic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter(Option<MetricId>);

impl Counter {
    /// Counts one event.
    pub fn increment(self) {
        self.add(1);
    }

    /// Counts several events.
    pub fn add(self, count: u32) {
        if let Some(id) = self.0
            && count > 0
        {
            warn_of_failure(backend().add_to_metric(id, count.into()));
        }
    }
}

/// A counter for each value of a label, such as each reason of a refusal.
#[derive(Clone, Debug)]
pub struct CountersBy<T>(ByLabel<T, Counter>);

impl<T: Label> CountersBy<T> {
    /// Counts one event with this value.
    pub fn increment(&self, value: T) {
        self.add(value, 1);
    }

    /// Adds to the counter of this value.
    pub fn add(&self, value: T, count: u32) {
        if let Some(counter) = self.0.get(value) {
            counter.add(count);
        }
    }
}

impl TableMetrics {
    /// Counts the events of one operation on the table.
    pub fn count(&self, events: TableEvents) {
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

    /// Counts an abandoned update of a shared value that belongs to the table.
    pub fn count_give_up(&self) {
        self.gave_up.increment();
    }
}

/// A number that all workers change together. A gauge that could not be defined shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge(Option<MetricId>);

impl Gauge {
    /// Adds one.
    pub fn increment(self) {
        self.add(1);
    }

    /// Adds to the gauge or subtracts from it. Envoy's gauges wrap below zero: subtract only what was added.
    pub fn add(self, difference: i64) {
        if let Some(id) = self.0
            && difference != 0
        {
            warn_of_failure(backend().add_to_metric(id, difference));
        }
    }

    /// Sets the gauge.
    pub fn set(self, value: u64) {
        if let Some(id) = self.0 {
            warn_of_failure(backend().set_metric(id, value));
        }
    }
}

/// Metrics never block traffic: a failure only goes to the log.
fn warn_of_failure(result: Result<(), Error>) {
    if let Err(error) = result {
        warn_once(error);
    }
}
