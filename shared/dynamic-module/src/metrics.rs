//! The metrics of one configuration.
//!
//! Envoy accepts new metrics only while it configures the filter. The plugins of a route's configuration come later. They
//! share metrics of the same name, and all others become metrics with labels: a template without values for its labels is
//! defined in a [rehearsal](crate::rehearsal), and each change then names the values. That costs more, and Prometheus sees
//! the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, RwLock};

use portcullis_host::backend::{MetricId, MetricKind};
use portcullis_host::{Error, Status};

use crate::abi::{self, Buffer, ChangeMetric, ConfigPtr, FilterPtr, Newer, newer};
use crate::lock::{read, write};
use crate::rehearsal;

const CALL: &str = "http_filter_config metrics";

/// The bit of metrics with labels.
const LABELLED: MetricId = 1 << 31;

/// A metric of a rehearsal, which does not exist.
const NONE: MetricId = MetricId::MAX;

/// A change of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Add(i64),
    Set(u64),
}

impl Change {
    /// Both changes as one.
    pub(crate) fn then(self, later: Self) -> Self {
        match (self, later) {
            (_, Self::Set(value)) => Self::Set(value),
            (Self::Set(value), Self::Add(difference)) => {
                Self::Set(value.saturating_add_signed(difference))
            }
            (Self::Add(difference), Self::Add(other)) => {
                Self::Add(difference.saturating_add(other))
            }
        }
    }
}

/// The metrics of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Metrics(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<String, MetricId>,
    templates: BTreeMap<Template, usize>,
    labelled: Vec<Arc<Labelled>>,
    is_complete: bool,
}

/// A kind, a name without labels, and the names of the labels.
type Template = (bool, String, Vec<String>);

/// A metric with labels.
#[derive(Debug)]
struct Labelled {
    kind: MetricKind,
    number: usize,
    values: Vec<String>,
}

impl Metrics {
    /// Defines a metric, or finds the one of this name.
    ///
    /// # Safety
    /// The configuration lives, and is the one of these metrics; so does the filter, which is null outside of streams.
    pub(crate) unsafe fn define(
        &self,
        config: ConfigPtr,
        filter: FilterPtr,
        kind: MetricKind,
        name: &str,
    ) -> Result<MetricId, Error> {
        let mut known = write(&self.0);
        if let Some(id) = known.by_name.get(name) {
            return Ok(*id);
        }
        let (plain, labels, values) = split(name);
        let template = (kind == MetricKind::Gauge, plain, labels);
        if rehearsal::is_running() {
            if let Entry::Vacant(entry) = known.templates.entry(template) {
                let (_, name, labels) = entry.key();
                // SAFETY: as above.
                let number = unsafe { defined(config, kind, name, labels)? };
                entry.insert(number);
            }
            return Ok(NONE);
        }
        let id = if known.is_complete {
            let number = known.templates.get(&template);
            let number = *number.ok_or(failed(Status::NotFound))?;
            let labelled = Labelled {
                kind,
                number,
                values,
            };
            // Like any other metric, it exists from now on. Without a stream, an Envoy before 1.39 creates it later.
            // SAFETY: as above.
            if let Some(created) = unsafe { labelled.change(config, filter, Change::Add(0)) } {
                created?;
            }
            let index = MetricId::try_from(known.labelled.len());
            let index = index.ok().filter(|index| *index < NONE & !LABELLED);
            let index = index.ok_or(failed(Status::InternalFailure))?;
            known.labelled.push(Arc::new(labelled));
            LABELLED | index
        } else {
            // SAFETY: as above.
            let number = unsafe { defined(config, kind, name, &[])? };
            metric_id(kind, number).ok_or(failed(Status::InternalFailure))?
        };
        known.by_name.insert(name.to_owned(), id);
        Ok(id)
    }

    /// The filter is configured: Envoy accepts no new metrics any more.
    pub(crate) fn complete(&self) {
        let mut known = write(&self.0);
        known.is_complete = true;
    }

    /// Changes a metric. `filter` is null outside of streams; then an Envoy before 1.39 cannot do it, and this is `None`.
    ///
    /// # Safety
    /// The configuration lives, and is the one of these metrics; so does the filter.
    pub(crate) unsafe fn change(
        &self,
        config: ConfigPtr,
        filter: FilterPtr,
        id: MetricId,
        change: Change,
    ) -> Option<Result<(), Error>> {
        if id == NONE {
            return Some(Ok(()));
        }
        if id & LABELLED == 0 {
            let (kind, number) = parts(id);
            // SAFETY: as above.
            return unsafe { changed(config, filter, kind, number, &mut [], change) };
        }
        let known = read(&self.0);
        let labelled = known.labelled.get((id & !LABELLED) as usize)?.clone();
        drop(known);
        // SAFETY: as above.
        unsafe { labelled.change(config, filter, change) }
    }
}

impl Labelled {
    /// # Safety
    /// As for [`Metrics::change`].
    unsafe fn change(
        &self,
        config: ConfigPtr,
        filter: FilterPtr,
        change: Change,
    ) -> Option<Result<(), Error>> {
        let values = self.values.iter();
        let mut values: Vec<Buffer> = values.map(|value| value.as_bytes().into()).collect();
        // SAFETY: as above.
        unsafe { changed(config, filter, self.kind, self.number, &mut values, change) }
    }
}

/// The name of a metric without its labels, their names, and their values; see `portcullis_host::Metrics`.
fn split(name: &str) -> (String, Vec<String>, Vec<String>) {
    let mut plain = String::new();
    let (mut labels, mut values) = (Vec::new(), Vec::new());
    for part in name.split(";.;") {
        match part.split_once("=.=") {
            Some((before, value)) => {
                // The first label follows the name of the plugin.
                let (start, label) = match before.rfind('.') {
                    Some(dot) => before.split_at(dot + 1),
                    None => ("", before),
                };
                plain.push_str(start);
                labels.push(label.to_owned());
                values.push(value.to_owned());
            }
            None => plain.push_str(part),
        }
    }
    (plain, labels, values)
}

/// Defines a metric with these labels, and returns its number.
///
/// # Safety
/// The configuration lives.
unsafe fn defined(
    config: ConfigPtr,
    kind: MetricKind,
    name: &str,
    labels: &[String],
) -> Result<usize, Error> {
    let define = match kind {
        MetricKind::Counter => abi::define_counter,
        MetricKind::Gauge => abi::define_gauge,
    };
    let labels = labels.iter();
    let mut labels: Vec<Buffer> = labels.map(|label| label.as_bytes().into()).collect();
    let mut number = 0;
    // SAFETY: as above; Envoy reads the names, and writes the number.
    let result = unsafe {
        define(
            config,
            name.as_bytes().into(),
            labels.as_mut_ptr(),
            labels.len(),
            &mut number,
        )
    };
    check(result)?;
    Ok(number)
}

/// # Safety
/// As for [`Metrics::change`].
unsafe fn changed(
    config: ConfigPtr,
    filter: FilterPtr,
    kind: MetricKind,
    number: usize,
    values: &mut [Buffer],
    change: Change,
) -> Option<Result<(), Error>> {
    let (call, value): (ChangeCall, u64) = match (kind, change) {
        (MetricKind::Counter, Change::Add(difference)) => {
            (ChangeCall::Count, difference.unsigned_abs())
        }
        (MetricKind::Gauge, Change::Add(difference)) if difference >= 0 => {
            (ChangeCall::Increase, difference.unsigned_abs())
        }
        (MetricKind::Gauge, Change::Add(difference)) => {
            (ChangeCall::Decrease, difference.unsigned_abs())
        }
        (MetricKind::Gauge, Change::Set(value)) => (ChangeCall::Set, value),
        (MetricKind::Counter, Change::Set(_)) => return Some(Err(failed(Status::BadArgument))),
    };
    let (target, call) = match newer() {
        Some(newer) => (config, call.of_config(newer)),
        None if filter.is_null() => return None,
        None => (filter, call.of_filter()),
    };
    // SAFETY: as above; the metric was defined with this number of labels.
    let result = unsafe { call(target, number, values.as_mut_ptr(), values.len(), value) };
    Some(check(result))
}

/// A call that changes a metric.
#[derive(Clone, Copy, Debug)]
enum ChangeCall {
    Count,
    Increase,
    Decrease,
    Set,
}

impl ChangeCall {
    fn of_config(self, newer: &Newer) -> ChangeMetric {
        match self {
            Self::Count => newer.increment_counter,
            Self::Increase => newer.increment_gauge,
            Self::Decrease => newer.decrement_gauge,
            Self::Set => newer.set_gauge,
        }
    }

    fn of_filter(self) -> ChangeMetric {
        match self {
            Self::Count => abi::filter_increment_counter,
            Self::Increase => abi::filter_increment_gauge,
            Self::Decrease => abi::filter_decrement_gauge,
            Self::Set => abi::filter_set_gauge,
        }
    }
}

/// Envoy numbers counters and gauges apart from each other.
fn metric_id(kind: MetricKind, number: usize) -> Option<MetricId> {
    let number = MetricId::try_from(number).ok()?;
    let id = number.checked_mul(2)?;
    let id = match kind {
        MetricKind::Counter => id,
        MetricKind::Gauge => id + 1,
    };
    (id < LABELLED).then_some(id)
}

fn parts(id: MetricId) -> (MetricKind, usize) {
    let kind = match id % 2 {
        0 => MetricKind::Counter,
        _ => MetricKind::Gauge,
    };
    (kind, (id / 2) as usize)
}

fn check(result: u32) -> Result<(), Error> {
    match result {
        0 => Ok(()),
        1 => Err(failed(Status::NotFound)),
        2 => Err(failed(Status::BadArgument)),
        code => Err(failed(Status::Other(code))),
    }
}

fn failed(status: Status) -> Error {
    Error::of(CALL)(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up_and_the_last_value_stays() {
        let all = |changes: &[Change]| changes.iter().copied().reduce(Change::then);
        assert_eq!(
            all(&[Change::Add(2), Change::Add(-3)]),
            Some(Change::Add(-1))
        );
        assert_eq!(
            all(&[Change::Add(2), Change::Set(7), Change::Add(-3)]),
            Some(Change::Set(4))
        );
        assert_eq!(all(&[Change::Set(7), Change::Set(5)]), Some(Change::Set(5)));
    }

    #[test]
    fn a_name_has_its_labels_in_order() {
        let name = "portcullis.rate_limit.policy=.=a.b/c;.;limit=.=x;.;admitted";
        let (plain, labels, values) = split(name);
        assert_eq!(plain, "portcullis.rate_limit.admitted");
        assert_eq!(labels, ["policy", "limit"]);
        assert_eq!(values, ["a.b/c", "x"]);
    }
}
