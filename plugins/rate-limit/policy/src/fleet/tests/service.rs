//! A simulated rate-limit service.

use std::collections::HashMap;

use portcullis_core::time::Nanos;
use rate_limit_policy::fleet::lease::{Answer, Life};

/// How the service counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// INCRBY, then compare, as envoyproxy/ratelimit: a refused call counts.
    AddThenCompare,
    /// Read, compare, and add later, as Limitador's plain call: calls in between see the old count.
    CompareThenAdd,
}

/// Counters for each key and window.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) counting: Counting,
    pub(crate) limit: u32,
    pub(crate) unit: Nanos,
    counters: HashMap<(u64, u64), u64>,
    /// Hits of granted calls.
    pub(crate) granted: u64,
    pub(crate) calls: u64,
}

/// A call that is being processed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processing {
    pub(crate) window: u64,
    key: u64,
    hits: u32,
    count: u64,
}

impl Service {
    pub(crate) fn new(counting: Counting, limit: u32, unit: Nanos) -> Self {
        Self {
            counting,
            limit,
            unit,
            counters: HashMap::new(),
            granted: 0,
            calls: 0,
        }
    }

    /// The window of a time on the service's clock.
    pub(crate) fn window(&self, time: Nanos) -> u64 {
        time.floor_secs() / self.unit.floor_secs()
    }

    /// A call arrives: the service chooses the window, and adds the hits or reads the count.
    pub(crate) fn begin(&mut self, key: u64, hits: u32, time: Nanos) -> Processing {
        let window = self.window(time);
        self.calls += 1;
        let counter = self.counters.entry((key, window)).or_default();
        if self.counting == Counting::AddThenCompare {
            *counter += u64::from(hits);
        }
        Processing {
            window,
            key,
            hits,
            count: *counter,
        }
    }

    /// The answer leaves: whether the call is granted, and what the service says.
    pub(crate) fn finish(&mut self, call: Processing, time: Nanos) -> (bool, Answer) {
        let limit = u64::from(self.limit);
        let mut count = call.count;
        let is_granted = match self.counting {
            Counting::AddThenCompare => count <= limit,
            Counting::CompareThenAdd => count + u64::from(call.hits) <= limit,
        };
        if is_granted {
            self.granted += u64::from(call.hits);
            if self.counting == Counting::CompareThenAdd {
                let counter = self.counters.entry((call.key, call.window)).or_default();
                *counter += u64::from(call.hits);
                count = *counter;
            }
        }
        let unit = self.unit.floor_secs();
        let remaining = match (is_granted, self.counting) {
            (false, Counting::AddThenCompare) => 0,
            _ => limit.saturating_sub(count),
        };
        let answer = Answer {
            limit: Some(self.limit),
            unit: Some(self.unit),
            remaining: u32::try_from(remaining).ok(),
            life: Life::Window(Nanos::from_secs(unit - time.floor_secs() % unit)),
        };
        (is_granted, answer)
    }

    /// A call that takes no time.
    pub(crate) fn call(&mut self, key: u64, hits: u32, time: Nanos) -> (bool, Answer) {
        let call = self.begin(key, hits, time);
        self.finish(call, time)
    }
}
