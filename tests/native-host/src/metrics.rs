//! Counters, gauges and histograms.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::status::Status;
use crate::sync::lock;

/// The kinds of metrics; the numbers are the ABI's, and the low two bits of every metric id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows.
    Counter = 0,
    /// Goes up and down. Below zero it wraps, as Envoy's does.
    Gauge = 1,
    /// Keeps every recorded value here; Envoy keeps a distribution.
    Histogram = 2,
}

impl MetricKind {
    fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

/// The metrics of one host: all VMs of all workers share them by name. The kinds have separate
/// names, so a counter and a gauge may be called the same.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    stats: Mutex<BTreeMap<(MetricKind, String), Stat>>,
}

#[derive(Debug, Default)]
struct Stat {
    value: u64,
    recorded: Vec<u64>,
}

impl Metrics {
    pub(crate) fn define(&self, kind: MetricKind, name: &str) {
        lock(&self.stats)
            .entry((kind, name.to_owned()))
            .or_default();
    }

    pub(crate) fn add(&self, kind: MetricKind, name: &str, by: u64) {
        self.change(kind, name, |stat| stat.value = stat.value.wrapping_add(by));
    }

    fn change(&self, kind: MetricKind, name: &str, change: impl FnOnce(&mut Stat)) {
        change(
            lock(&self.stats)
                .entry((kind, name.to_owned()))
                .or_default(),
        );
    }

    pub(crate) fn value(&self, kind: MetricKind, name: &str) -> Option<u64> {
        let stats = lock(&self.stats);
        Some(stats.get(&(kind, name.to_owned()))?.value)
    }

    pub(crate) fn recorded(&self, name: &str) -> Option<Vec<u64>> {
        let stats = lock(&self.stats);
        let stat = stats.get(&(MetricKind::Histogram, name.to_owned()))?;
        Some(stat.recorded.clone())
    }

    pub(crate) fn names(&self, kind: MetricKind) -> Vec<String> {
        let stats = lock(&self.stats);
        let of_kind = stats.keys().filter(|(other, _)| *other == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }
}

/// The metric ids of one VM. Defining a name twice gives two ids for one metric.
#[derive(Debug, Default)]
pub(crate) struct MetricIds {
    names: BTreeMap<u32, String>,
    defined: [u32; 3],
}

impl MetricIds {
    pub(crate) fn define(
        &mut self,
        metrics: &Metrics,
        kind: u32,
        name: &str,
    ) -> Result<u32, Status> {
        let kind = MetricKind::of(kind).ok_or(Status::BadArgument)?;
        let count = &mut self.defined[kind as usize];
        *count += 1;
        let id = *count * 4 + kind as u32;
        self.names.insert(id, name.to_owned());
        metrics.define(kind, name);
        Ok(id)
    }

    fn find(&self, id: u32) -> Result<(MetricKind, &str), Status> {
        let kind = MetricKind::of(id & 3).ok_or(Status::BadArgument)?;
        let name = self.names.get(&id).ok_or(Status::NotFound)?;
        Ok((kind, name))
    }

    /// A counter takes only positive offsets, not even zero; a histogram none.
    pub(crate) fn increment(&self, metrics: &Metrics, id: u32, by: i64) -> Result<(), Status> {
        if id & 3 == MetricKind::Histogram as u32 {
            return Err(Status::BadArgument);
        }
        let (kind, name) = self.find(id)?;
        if kind == MetricKind::Counter && by <= 0 {
            return Err(Status::BadArgument);
        }
        metrics.add(kind, name, by as u64);
        Ok(())
    }

    /// Adds to a counter, sets a gauge, adds a value to a histogram.
    pub(crate) fn record(&self, metrics: &Metrics, id: u32, value: u64) -> Result<(), Status> {
        let (kind, name) = self.find(id).map_err(|_| Status::NotFound)?;
        metrics.change(kind, name, |stat| match kind {
            MetricKind::Counter => stat.value = stat.value.wrapping_add(value),
            MetricKind::Gauge => stat.value = value,
            MetricKind::Histogram => stat.recorded.push(value),
        });
        Ok(())
    }

    pub(crate) fn get(&self, metrics: &Metrics, id: u32) -> Result<u64, Status> {
        if id & 3 == MetricKind::Histogram as u32 {
            return Err(Status::BadArgument);
        }
        let (kind, name) = self.find(id)?;
        metrics.value(kind, name).ok_or(Status::NotFound)
    }
}
