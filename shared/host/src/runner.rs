//! A configured chain in one worker: calls its plugins outside of streams, and judges the requests that wait.

use std::time::Duration;

use portcullis_core::config::Document;
use portcullis_core::time::Nanos;

use crate::backend::backend;
use crate::call::{CallId, CallResponse};
use crate::callback_monitor::CallbackMonitor;
use crate::chain::{Chain, flow_after};
use crate::error::{Error, Failure};
use crate::exchange::Exchange;
use crate::plugin::Flow;
use crate::spare_memory::SpareMemory;
use crate::wait_queue::WaitQueue;
use crate::warnings::WarningLimiter;
use crate::worker::{Woken, Worker};

/// The tick period while requests wait, unless the plugin needs a shorter one. It bounds the time after which a worker learns of a document that another
/// worker fetched.
pub const TICK_WHILE_WAITING: Duration = Duration::from_millis(20);
/// The tick period while woken requests are left to judge: the shortest that Envoy has. The worker serves other
/// streams between two ticks.
pub const TICK_WHILE_WOKEN: Duration = Duration::from_millis(1);

/// A callback judges no further woken request after this time. It so takes at most this long and one request more; a
/// plain request takes about 0.2 ms.
const SLICE: Nanos = Nanos::from_millis(2);
/// A callback judges at most this many woken requests, even if the clock cannot be read.
const SLICE_REQUESTS: usize = 32;

/// A configured chain in one worker. Streams keep the one that they began with, so a new configuration does not change
/// a request in progress.
pub struct Runner<C: Chain> {
    pub(crate) chain: C,
    pub(crate) callbacks: CallbackMonitor,
    pub(crate) memory: SpareMemory,
    pub(crate) waiting: WaitQueue,
    warnings: WarningLimiter,
}

/// What a callback outside of streams did.
#[derive(Clone, Debug)]
pub struct Acted {
    /// Whether it judged requests, so that Envoy's calls now act on one of their streams.
    pub judged: bool,
    /// When the next tick is due at the latest; `None` if nothing needs one.
    pub next_tick: Option<Duration>,
    /// The requests that the chain has woken. Those of this worker are being judged.
    pub woken: Woken,
}

/// Reads a configuration and creates its chain.
///
/// # Errors
/// All errors in the configuration, one on each line.
pub fn configure<C: Chain>(text: &[u8]) -> Result<C, String> {
    let config = Document::parse(text).and_then(C::read);
    config.map(C::new).map_err(|errors| errors.to_string())
}

/// Writes one line for each plugin of a chain to the log.
pub fn log_summaries<C: Chain>(chain: &C) {
    for summary in chain.summaries() {
        log::info!(
            "portcullis {} {} \"{}\": {}",
            summary.plugin,
            env!("CARGO_PKG_VERSION"),
            summary.instance,
            summary.description,
        );
    }
}

impl<C: Chain> Runner<C> {
    /// Runs a chain in this worker.
    pub fn new(chain: C, callbacks: CallbackMonitor) -> Self {
        Self {
            chain,
            callbacks,
            memory: SpareMemory::default(),
            waiting: WaitQueue::default(),
            warnings: WarningLimiter::default(),
        }
    }

    /// The longest time between two ticks; `None` if the chain needs none.
    pub fn tick_period(&self) -> Option<Duration> {
        self.chain.tick_period()
    }

    /// The size limit of the response to a call, in bytes. A back end truncates a larger body to one byte more.
    pub fn max_call_body(&self) -> usize {
        self.chain.max_call_body()
    }

    /// Time has passed.
    pub fn tick(&self) -> Acted {
        self.callbacks.ticked();
        self.act(|chain, worker| {
            let ticked = chain.on_tick(worker);
            worker.unwrap_or_warn(C::NAME, ticked);
        })
    }

    /// The response to a call has arrived.
    pub fn call_response(&self, call: CallId, response: &CallResponse) -> Acted {
        self.act(|chain, worker| {
            let handled = chain.on_call_response(worker, call, response);
            worker.unwrap_or_warn(C::NAME, handled);
        })
    }

    /// Wakes requests of this worker, because the chain in another one has done so. The next tick judges them.
    pub fn wake(&self, woken: &Woken) {
        self.waiting.wake(woken);
    }

    /// Lets the chain act outside of streams, and then judges a slice of the woken requests.
    fn act(&self, handle: impl FnOnce(&C, &mut Worker)) -> Acted {
        let started = backend().monotonic_time().ok();
        let mut worker = Worker::default();
        handle(&self.chain, &mut worker);
        self.warn(worker.failures(), "outside of streams");
        let woken = worker.into_woken();
        self.waiting.wake(&woken);
        let judged = self.waiting.has_woken();
        if judged {
            self.judge_woken(started);
        }
        Acted {
            judged,
            next_tick: self.next_tick(),
            woken,
        }
    }

    fn next_tick(&self) -> Option<Duration> {
        let period = self.chain.tick_period();
        match (self.waiting.is_empty(), self.waiting.has_woken()) {
            (_, true) => Some(TICK_WHILE_WOKEN),
            (false, false) => {
                let waiting = self.chain.tick_while_waiting();
                Some(period.map_or(waiting, |period| period.min(waiting)))
            }
            (true, false) => period,
        }
    }

    /// Judges the next woken requests, in a callback that began at this time.
    fn judge_woken(&self, started: Option<Nanos>) {
        for judged in 0..SLICE_REQUESTS {
            let taken =
                started.and_then(|started| Some(backend().monotonic_time().ok()? - started));
            // At least one in each callback, so that the queue gets shorter.
            if judged > 0 && taken.is_some_and(|taken| taken >= SLICE) {
                return;
            }
            match self.waiting.next() {
                Some(waiter) => waiter.judge_again(),
                None => return,
            }
        }
    }

    /// Calls the chain, and carries out its changes.
    pub(crate) fn run(
        &self,
        exchange: &mut Exchange<'_>,
        stream: &mut C::Stream,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange<'_>) -> Result<Flow, Error>,
    ) -> Flow {
        let chain = &self.chain;
        let flow = handle(chain, stream, exchange);
        let mut flow = flow_after(chain, stream, exchange, flow);
        if !matches!(flow, Flow::Reply(_))
            && exchange.has_changes()
            && let Err(error) = exchange.commit()
        {
            exchange.note(C::NAME, error);
            let decided = chain.on_error(stream, exchange, Failure::NotDone);
            if decided != Flow::Continue {
                flow = decided;
            }
        }
        if !exchange.failures().is_empty() {
            self.warn(exchange.failures(), exchange.phase());
        }
        flow
    }

    pub(crate) fn warn(&self, failures: &[(&'static str, Error)], when: impl std::fmt::Debug) {
        for (plugin, error) in failures {
            // Without a clock, the first warning is the only one.
            let now = backend().monotonic_time().unwrap_or_default();
            if let Some(suppressed) = self.warnings.admit(now) {
                log::warn!(
                    "portcullis {plugin}: {error} ({when:?}; {suppressed} more since the last \
                     warning)"
                );
            }
        }
    }
}
