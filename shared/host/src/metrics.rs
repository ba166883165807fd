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

use std::fmt::Write;

use portcullis_core::config::Name;

use crate::abi;
use crate::throttle::warn_once;

/// Defines the metrics of one plugin instance, at configure time.
#[derive(Clone, Debug)]
pub struct Metrics {
    prefix: String,
}

impl Metrics {
    /// The metrics of the plugin `plugin` (its name in snake case) under the instance's name.
    pub fn new(plugin: &str, policy: &Name) -> Self {
        Self {
            prefix: format!("portcullis.{plugin}.policy=.={policy};.;"),
        }
    }

    /// Defines a counter. Labels are names and values; values are names from the configuration or
    /// words of the plugin's own.
    pub fn counter(&self, metric: &str, labels: &[(&str, &str)]) -> Counter {
        Counter(self.define(abi::MetricKind::Counter, metric, labels))
    }

    /// Defines a gauge; labels as with [`counter`](Self::counter).
    pub fn gauge(&self, metric: &str, labels: &[(&str, &str)]) -> Gauge {
        Gauge(self.define(abi::MetricKind::Gauge, metric, labels))
    }

    fn define(&self, kind: abi::MetricKind, metric: &str, labels: &[(&str, &str)]) -> Option<u32> {
        let mut name = self.prefix.clone();
        for (label, value) in labels {
            // Writing to a String does not fail.
            let _ = write!(name, "{label}=.={value};.;");
        }
        name.push_str(metric);
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
pub struct CountersBy<T>(Vec<(T, Counter)>);

impl<T: Copy + PartialEq> CountersBy<T> {
    /// Defines a counter for each of these.
    pub fn define(all: &[T], counter: impl Fn(T) -> Counter) -> Self {
        Self(all.iter().map(|thing| (*thing, counter(*thing))).collect())
    }

    /// Counts one event of this thing.
    pub fn increment(&self, thing: T) {
        if let Some((_, counter)) = self.0.iter().find(|(other, _)| *other == thing) {
            counter.increment();
        }
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
