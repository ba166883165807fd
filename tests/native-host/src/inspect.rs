//! What a test sees of a host: metrics, logs, shared data, timers, queues.

use std::time::Duration;

use crate::host::{Host, WorkerHandle};
use crate::logs::{LogLine, Thread};
use crate::metrics::MetricKind;
use crate::shared_data::SharedData;
use crate::sync::lock;

impl Host {
    /// The value of a counter, summed over all workers. Metrics of filters have the name that the
    /// filter gave (on Envoy's `/stats` it is `wasmcustom.<name>`); those of the host are
    /// `wasm.<filter>.vm_reload_success` and so on.
    ///
    /// # Panics
    /// If there is no such counter, so that a misspelt name is not mistaken for zero.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        self.metric(MetricKind::Counter, name)
    }

    /// The value of a gauge.
    ///
    /// # Panics
    /// If there is no such gauge.
    #[track_caller]
    pub fn gauge(&self, name: &str) -> u64 {
        self.metric(MetricKind::Gauge, name)
    }

    #[track_caller]
    fn metric(&self, kind: MetricKind, name: &str) -> u64 {
        let value = self.shared().metrics.value(kind, name);
        match value {
            Some(value) => value,
            None => self.no_such_metric(kind, name),
        }
    }

    /// All values that a histogram got, in order.
    ///
    /// # Panics
    /// If there is no such histogram.
    #[track_caller]
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        let values = self.shared().metrics.recorded(name);
        match values {
            Some(values) => values,
            None => self.no_such_metric(MetricKind::Histogram, name),
        }
    }

    #[track_caller]
    fn no_such_metric(&self, kind: MetricKind, name: &str) -> ! {
        let names = self.metric_names(kind);
        panic!("no {kind:?} is called {name:?}; there are {names:?}")
    }

    /// The names of all metrics of one kind, in order.
    pub fn metric_names(&self, kind: MetricKind) -> Vec<String> {
        self.shared().metrics.names(kind)
    }

    /// Everything that was logged so far, at the host's level or above.
    pub fn logs(&self) -> Vec<LogLine> {
        self.shared().logs.lines()
    }

    /// The shared data of this host.
    pub fn shared_data(&self) -> &SharedData {
        &self.shared().shared_data
    }

    /// The number of items in a shared queue; nothing if no filter has registered it. `vm_id` is that
    /// of the filter which did.
    pub fn queue_size(&self, vm_id: &str, name: &str) -> Option<usize> {
        self.shared().queues.size(vm_id, name)
    }

    /// Each tick period of a filter that ticks, on every thread where it does.
    pub fn tick_periods(&self, filter: &str) -> Vec<(Thread, Duration)> {
        let workers = self.threads.all().map(|worker| lock(worker));
        let periods =
            workers.filter_map(|worker| Some((worker.thread(), worker.tick_period(filter)?)));
        periods.collect()
    }
}

impl WorkerHandle<'_> {
    /// The tick period that a filter has set on this worker; nothing if it does not tick.
    pub fn tick_period(self, filter: &str) -> Option<Duration> {
        lock(&self.host.threads.workers[self.index]).tick_period(filter)
    }

    /// Calls a filter's `on_foreign_function`, as extensions of Envoy may. The root context gets the
    /// number of the function; the arguments can be read during the callback.
    ///
    /// # Panics
    /// If there is no such filter, or if something went wrong before.
    #[track_caller]
    pub fn call_foreign_function(self, filter: &str, function: u32, arguments: &[u8]) {
        self.host.shared().begin();
        let threads = &self.host.threads;
        let there = threads.on_worker(self.index, |worker| {
            worker.call_foreign_function(filter, function, arguments)
        });
        assert!(there, "there is no filter {filter:?}");
    }
}
