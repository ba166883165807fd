//! Counters and gauges in Envoy's statistics.
//!
//! A statistic is called `wasmcustom.portcullis.<plugin>.<labels><metric>`, each label written
//! `name=.=value;.;`, the instance's name first as `policy`:
//!
//! ```text
//! wasmcustom.portcullis.security_headers.policy=.=edge;.;rule=.=api;.;responses
//! ```
//!
//! proxy-wasm knows no labels. Envoy makes them of this encoding with the rules in
//! `envoy/stats_tags.yaml`, and Prometheus sees
//! `portcullis_security_headers_responses{policy="edge",rule="api"}`. No value can be mistaken for
//! the encoding, because the alphabet of names lacks `=` and `;`. Values come from the
//! configuration only, never from traffic: Envoy does not forget a statistic.

use portcullis_core::config::Name;
use portcullis_core::label::{ByLabel, Label};
use portcullis_table::TableEvents;

use crate::abi;
use crate::throttle::warn_once;

/// Defines the metrics of one plugin instance, at configure time.
#[derive(Clone, Debug)]
pub struct Metrics {
    prefix: String,
}

/// The metrics of one table.
#[derive(Clone, Copy, Debug)]
pub struct TableMetrics {
    occupancy: Gauge,
    evictions: Counter,
    malformed: Counter,
    pub(crate) cas_retries: Counter,
    pub(crate) gave_up: Counter,
}

impl Metrics {
    /// The metrics of the plugin `plugin` (its name in snake case) under the instance's name.
    pub fn new(plugin: &str, policy: &Name) -> Self {
        Self {
            prefix: format!("portcullis.{plugin}.policy=.={policy};.;"),
        }
    }

    /// The metrics with one more label. Its value is a name from the configuration or a word of the plugin's
    /// own, never anything from a request.
    #[must_use]
    pub fn with(&self, label: &str, value: &str) -> Self {
        Self {
            prefix: format!("{}{label}=.={value};.;", self.prefix),
        }
    }

    /// Defines a counter.
    pub fn counter(&self, metric: &str) -> Counter {
        Counter(self.define(abi::MetricKind::Counter, metric))
    }

    /// Defines a gauge.
    pub fn gauge(&self, metric: &str) -> Gauge {
        Gauge(self.define(abi::MetricKind::Gauge, metric))
    }

    /// Defines a counter for each of several things, which are told apart by this label.
    pub fn counters_by<T: Label>(&self, label: &str, metric: &str) -> CountersBy<T> {
        let counter = |thing: T| self.with(label, thing.label()).counter(metric);
        CountersBy(ByLabel::new(counter))
    }

    /// Defines the metrics of a table.
    pub fn table(&self) -> TableMetrics {
        TableMetrics {
            occupancy: self.gauge("occupancy"),
            evictions: self.counter("evictions"),
            malformed: self.counter("malformed"),
            cas_retries: self.counter("cas_retries"),
            gave_up: self.counter("gave_up"),
        }
    }

    fn define(&self, kind: abi::MetricKind, metric: &str) -> Option<u32> {
        let name = format!("{}{metric}", self.prefix);
        abi::define_metric(kind, &name)
            .inspect_err(|status| {
                log::warn!("metric {name} is not kept: proxy_define_metric: {status:?}");
            })
            .ok()
    }
}

/// A number that only grows. One that could not be defined counts nothing: metrics never stand in
/// the way of traffic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter(Option<u32>);

impl Counter {
    /// Counts one event.
    pub fn increment(self) {
        self.add(1);
    }

    /// Counts so many events.
    pub fn add(self, count: u32) {
        if let Some(id) = self.0
            && count > 0
        {
            counted(
                "proxy_increment_metric",
                abi::increment_metric(id, count.into()),
            );
        }
    }
}

/// A counter for each of several things: for each reason of a refusal, say.
#[derive(Clone, Debug)]
pub struct CountersBy<T>(ByLabel<T, Counter>);

impl<T: Label> CountersBy<T> {
    /// Counts one event of this thing.
    pub fn increment(&self, thing: T) {
        if let Some(counter) = self.0.get(thing) {
            counter.increment();
        }
    }
}

impl TableMetrics {
    /// Counts what an operation did to the table.
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

    /// Counts an update that was given up, of a value beside the table.
    pub fn count_give_up(&self) {
        self.gave_up.increment();
    }
}

/// A number that all workers move or set together. One that could not be defined shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge(Option<u32>);

impl Gauge {
    /// Moves the gauge up by one.
    pub fn increment(self) {
        self.add(1);
    }

    /// Moves the gauge up or down. Envoy's gauges wrap below zero: take away only what was added.
    pub fn add(self, difference: i64) {
        if let Some(id) = self.0
            && difference != 0
        {
            counted(
                "proxy_increment_metric",
                abi::increment_metric(id, difference),
            );
        }
    }

    /// Sets the gauge.
    pub fn set(self, value: u64) {
        if let Some(id) = self.0 {
            counted("proxy_record_metric", abi::record_metric(id, value));
        }
    }
}

/// Metrics never stand in the way of traffic: where they cannot be kept, the log says so.
fn counted(call: &'static str, result: Result<(), abi::Status>) {
    if let Err(status) = result {
        warn_once(call, status);
    }
}
