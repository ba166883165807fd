//! What was measured of a variant.

use portcullis_envoy_tests::open_load::Outcome;

use super::variants::{Variant, Waits};
use super::{DELAY, LIMIT, RATE, REQUESTS};
use crate::table::at;

pub(super) struct Row {
    name: String,
    waits: Waits,
    visits: Vec<Visit>,
}

/// Latencies are in milliseconds.
pub(super) struct Visit {
    /// Of each proxy's first request.
    first: Vec<f64>,
    /// Of the other requests that were admitted.
    admitted: Vec<f64>,
    /// The service's calls.
    calls: u64,
    /// The requests that waited for the service, as rate-limit counts them.
    waited: u64,
}

impl Visit {
    /// The proxies get requests in turn, so their first ones come first.
    pub(super) fn new(outcomes: &[Outcome], proxies: usize, calls: u64, waited: u64) -> Self {
        let latency = |outcome: &Outcome| outcome.latency.as_secs_f64() * 1e3;
        let (first, others) = outcomes.split_at(proxies);
        let admitted = others.iter().filter(|outcome| outcome.status == 200);
        Self {
            first: first.iter().map(latency).collect(),
            admitted: admitted.map(latency).collect(),
            calls,
            waited,
        }
    }

    fn passed(&self) -> usize {
        self.first.len() + self.admitted.len()
    }
}

impl Row {
    pub(super) fn new(variant: &Variant) -> Self {
        Self {
            name: variant.name.clone(),
            waits: variant.waits,
            visits: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, visit: Visit) {
        self.visits.push(visit);
    }

    /// A quantile of latencies in all visits.
    fn quantile(&self, part: f64, latencies: fn(&Visit) -> &[f64]) -> f64 {
        let all = self.visits.iter().flat_map(latencies).copied();
        at(part, &all.collect::<Vec<f64>>())
    }

    /// The ratio of the p50 to that of another row in the same round.
    fn p50_beside(&self, other: &Self) -> String {
        let p50 = |visit: &Visit| at(0.5, &visit.admitted);
        let rounds = self.visits.iter().zip(&other.visits);
        let ratios = rounds.map(|(this, other)| p50(this) / p50(other));
        spread(2, ratios)
    }

    fn counts(&self, of: fn(&Visit) -> f64) -> String {
        spread(0, self.visits.iter().map(of))
    }

    fn print(&self, none: &Self) {
        let [p50, p99] = [0.5, 0.99].map(|part| self.quantile(part, |visit| &visit.admitted));
        let first = self.quantile(0.5, |visit| &visit.first);
        let calls = || self.counts(|visit| visit.calls as f64);
        let unused = || self.counts(|visit| LIMIT as f64 - visit.passed() as f64);
        let [unused, calls, waited] = match self.waits {
            Waits::Never => Default::default(),
            Waits::Sometimes => {
                let waited = self.counts(|visit| visit.waited as f64);
                [unused(), calls(), waited]
            }
            Waits::Always => [unused(), calls(), calls()],
        };
        println!(
            "{:30} {p50:>6.2} {:>20} {p99:>6.2} {first:>6.2} {:>20} {unused:>14} {calls:>20} {waited:>20}",
            self.name,
            self.p50_beside(none),
            self.counts(|visit| visit.passed() as f64),
        );
    }
}

/// The median, the least and the greatest.
fn spread(decimals: usize, values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let [median, least, greatest] = [0.5, 0.0, 1.0].map(|part| at(part, &values));
    format!("{median:.decimals$} ({least:.decimals$} to {greatest:.decimals$})")
}

/// The first row is the one without a limit.
pub(super) fn print(proxies: usize, rows: &[Row]) {
    let Some(none) = rows.first() else { return };
    println!(
        "\n{proxies} proxies, {REQUESTS} requests at {RATE}/s, a limit of {LIMIT}, a service that takes {} ms; latency \
         of admitted requests in ms\n",
        DELAY.as_millis()
    );
    println!(
        "{:30} {:>6} {:>20} {:>6} {:>6} {:>20} {:>14} {:>20} {:>20}",
        "", "p50", "× no limit", "p99", "first", "admitted", "unused", "calls", "waited"
    );
    for row in rows {
        row.print(none);
    }
}
