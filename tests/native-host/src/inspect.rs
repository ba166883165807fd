//! What a test sees of a host: metrics, logs, shared data, timers, queues.

use crate::host::Host;
use crate::logs::LogLine;
use crate::metrics::MetricKind;
use crate::shared_data::SharedData;

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
}
