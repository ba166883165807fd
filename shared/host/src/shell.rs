//! Between the SDK's contexts and a [`Plugin`].

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::config::Document;
use portcullis_core::reply::Reply;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::abi;
use crate::chain::{Chain, flow_after};
use crate::exchange::{Error, Exchange, Failure, Phase};
use crate::header_codec;
use crate::liveness::Liveness;
use crate::logger;
use crate::plugin::Flow;
use crate::stream::Stream;
use crate::throttle::Throttle;
use crate::waiting::Waiting;
use crate::worker::{CallId, Worker, call_response};

/// How soon the first tick comes.
const FIRST_TICK: Duration = Duration::from_millis(1);
/// How often ticks come while requests wait, so that no worker learns late what another one fetched.
pub(crate) const TICK_WHILE_WAITING: Duration = Duration::from_millis(20);

/// How soon the next slice of requests that were woken follows the last one: with Envoy's shortest
/// period. Meanwhile the worker does whatever else is to be done.
const TICK_WHILE_WOKEN: Duration = Duration::from_millis(1);
/// How long a callback may have taken, in nanoseconds of the monotonic clock, when another request is
/// looked at. A callback so takes this and one request more; a plain request takes some 0.2 ms.
const SLICE_NANOS: u64 = 2_000_000;
/// How many requests are looked at in one callback, even where the clock cannot be read.
const SLICE_REQUESTS: usize = 32;

/// Registers the plugin with the SDK: what a module does when it is loaded. [`module!`](crate::module)
/// calls it in a module; native tests hand it to their host.
pub fn start<C: Chain>() {
    proxy_wasm::set_root_context(|id| Box::new(Root::<C> { id, instance: None }));
}

/// What came of a callback.
pub(crate) struct Ran {
    pub(crate) flow: Flow,
    /// The first thing that failed.
    pub(crate) failed: Option<Error>,
}

/// A plugin as configured. Streams keep the one they began with, so a new configuration does not
/// change a request under way.
pub(crate) struct Configured<C: Chain> {
    pub(crate) chain: C,
    pub(crate) liveness: Liveness,
    warnings: Throttle,
    pub(crate) waiting: Waiting<C::Stream>,
}

struct Root<C: Chain> {
    id: u32,
    instance: Option<Rc<Configured<C>>>,
}

impl<C: Chain> Root<C> {
    fn configure(&mut self) -> Result<(), String> {
        let text = abi::plugin_configuration()
            .map_err(|status| format!("the configuration could not be read: {status:?}"))?;
        let config = Document::parse(&text)
            .and_then(C::read)
            .map_err(|errors| errors.to_string())?;
        let chain = C::new(config);
        for summary in chain.summaries() {
            log::info!(
                "portcullis {} {} \"{}\": {}",
                summary.plugin,
                env!("CARGO_PKG_VERSION"),
                summary.policy,
                summary.what,
            );
        }
        let liveness = match chain.tick_period() {
            Some(_) => Liveness::timed(self.begin_ticking()),
            None => Liveness::default(),
        };
        self.instance = Some(Rc::new(Configured {
            chain,
            liveness,
            warnings: Throttle::default(),
            waiting: Waiting::default(),
        }));
        Ok(())
    }

    /// Sets the timer, and tries whether this context may act on others.
    fn begin_ticking(&self) -> Result<(), Error> {
        tick_after(FIRST_TICK)?;
        act_on(self.id)
    }

    /// Lets the plugin act outside of streams, and then some of the streams that were woken.
    fn act(&self, handle: impl FnOnce(&C, &mut Worker)) {
        let Some(instance) = &self.instance else {
            return;
        };
        let started = abi::monotonic_nanos().ok();
        let mut worker = Worker::default();
        handle(&instance.chain, &mut worker);
        instance.warn(worker.failures(), "outside of streams");
        if worker.wakes() {
            instance.waiting.wake();
        }
        if instance.waiting.has_woken() {
            instance.look_again(started);
            // Fails only where acting on others failed before, which was noted.
            let _ = act_on(self.id);
        }
    }
}

pub(crate) fn tick_after(period: Duration) -> Result<(), Error> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    let set = abi::set_tick_period(milliseconds);
    set.map_err(Error::of("proxy_set_tick_period_milliseconds"))
}

fn act_on(context: u32) -> Result<(), Error> {
    let set = abi::set_effective_context(context);
    set.map_err(Error::of("proxy_set_effective_context"))
}

impl<C: Chain> Configured<C> {
    /// Looks again at the next requests that were woken, in a callback that began at this time.
    fn look_again(&self, started: Option<u64>) {
        for looked_at in 0..SLICE_REQUESTS {
            let taken = started.and_then(|started| {
                let now = abi::monotonic_nanos().ok()?;
                Some(now.saturating_sub(started))
            });
            // At least one, so that there is an end to them.
            if looked_at > 0 && taken.is_some_and(|taken| taken >= SLICE_NANOS) {
                return;
            }
            let Some((id, stream, is_complete)) = self.waiting.next() else {
                return;
            };
            // The stream may have ended a moment ago.
            if act_on(id).is_err() {
                continue;
            }
            let stream_state = &mut stream.borrow_mut();
            let flow = match self.request(stream_state, is_complete) {
                Flow::Continue => self.resume(stream_state, is_complete),
                flow => flow,
            };
            match flow {
                Flow::Continue => {}
                // A request that cannot be answered stays held.
                Flow::Reply(reply) => {
                    self.reply(&reply);
                }
                Flow::Wait => self.waiting.add(id, &stream, is_complete),
            }
        }
    }

    /// Lets a request go on that waited; if Envoy refuses, no request is to wait any more, and this one
    /// is answered.
    fn resume(&self, stream: &mut C::Stream, is_complete: bool) -> Flow {
        let resumed = abi::resume_request().map_err(Error::of("proxy_continue_stream"));
        let Err(error) = resumed else {
            return Flow::Continue;
        };
        self.liveness.cannot_resume(error);
        let mut exchange = Exchange::new(Phase::Request, is_complete);
        exchange.note(C::NAME, error);
        let flow = self.chain.on_error(stream, &mut exchange, Failure::NotDone);
        self.warn(exchange.failures(), Phase::Request);
        flow
    }

    /// Judges a request; `is_complete` if it has neither a body nor trailers.
    pub(crate) fn request(&self, stream: &mut C::Stream, is_complete: bool) -> Flow {
        let exchange = Exchange::new(Phase::Request, is_complete);
        self.run(exchange, stream, |plugin, stream, exchange| {
            if C::NEEDS_ENDS
                && let Err(error) = self.liveness.check_ends()
            {
                let flow = flow_after(plugin, stream, exchange, Err(error));
                if flow != Flow::Continue {
                    return Ok(flow);
                }
            }
            let flow = plugin.on_request(stream, exchange)?;
            if flow == Flow::Wait {
                self.liveness.check_waiting()?;
            }
            Ok(flow)
        })
        .flow
    }

    /// Calls the plugin, and carries out what it changed.
    pub(crate) fn run(
        &self,
        mut exchange: Exchange,
        stream: &mut C::Stream,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange) -> Result<Flow, Error>,
    ) -> Ran {
        let plugin = &self.chain;
        let flow = handle(plugin, stream, &mut exchange);
        let mut flow = flow_after(plugin, stream, &mut exchange, flow);
        if !matches!(flow, Flow::Reply(_))
            && let Err(error) = exchange.commit()
        {
            exchange.note(C::NAME, error);
            let decided = plugin.on_error(stream, &mut exchange, Failure::NotDone);
            if decided != Flow::Continue {
                flow = decided;
            }
        }
        self.warn(exchange.failures(), exchange.phase());
        let failed = exchange.failures().first().map(|(_, error)| *error);
        Ran { flow, failed }
    }

    /// Answers the stream; false if Envoy does not take the answer.
    pub(crate) fn reply(&self, reply: &Reply) -> bool {
        let sent = send(reply);
        if let Err(error) = sent {
            self.warn(&[(C::NAME, error)], "no reply");
        }
        sent.is_ok()
    }

    /// Answers in place of a response. If Envoy does not take the answer, and the plugin does not let the
    /// response pass without it, the response is held.
    pub(crate) fn reply_in_place(
        &self,
        reply: &Reply,
        stream: &mut C::Stream,
        mut exchange: Exchange,
    ) -> Action {
        if self.reply(reply) {
            return Action::Pause;
        }
        match self.chain.on_error(stream, &mut exchange, Failure::NotDone) {
            Flow::Continue => Action::Continue,
            Flow::Reply(_) | Flow::Wait => Action::Pause,
        }
    }

    fn warn(&self, failures: &[(&'static str, Error)], when: impl std::fmt::Debug) {
        for (plugin, error) in failures {
            // Without a clock, the first warning is the only one.
            let now = abi::monotonic_nanos().unwrap_or_default();
            if let Some(held_back) = self.warnings.admit(now) {
                log::warn!(
                    "portcullis {plugin}: {error} ({when:?}; {held_back} more since the last \
                     warning)"
                );
            }
        }
    }
}

pub(crate) fn send(reply: &Reply) -> Result<(), Error> {
    /// Envoy derives the gRPC status from the HTTP status.
    const DERIVED: i32 = -1;

    let grpc_status = reply.grpc_status.and_then(|code| i32::try_from(code).ok());
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (&name[..], &value[..]));
    let sent = abi::send_local_response(
        reply.status.into(),
        &reply.details,
        &reply.body,
        &header_codec::encode(headers),
        grpc_status.unwrap_or(DERIVED),
    );
    sent.map_err(Error::of("proxy_send_local_response"))
}

impl<C: Chain> Context for Root<C> {
    fn on_http_call_response(
        &mut self,
        token: u32,
        header_count: usize,
        _body_size: usize,
        _trailer_count: usize,
    ) {
        self.act(|plugin, worker| {
            let response = call_response(header_count > 0, plugin.max_call_body());
            let handled = plugin.on_call_response(worker, CallId::new(token), &response);
            worker.unwrap_or_warn(C::NAME, handled);
        });
        let instance = self.instance.as_ref();
        if instance.is_some_and(|instance| instance.waiting.has_woken()) {
            // If Envoy refused, the rest would be looked at with the next tick.
            let _ = tick_after(TICK_WHILE_WOKEN);
        }
    }
}

impl<C: Chain> RootContext for Root<C> {
    fn on_configure(&mut self, _size: usize) -> bool {
        logger::init();
        match self.configure() {
            Ok(()) => true,
            Err(errors) => {
                log::error!("portcullis {}: configuration refused:\n{errors}", C::NAME);
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(instance) = &self.instance {
            instance.liveness.ticked();
        }
        self.act(|plugin, worker| {
            let ticked = plugin.on_tick(worker);
            worker.unwrap_or_warn(C::NAME, ticked);
        });
        let Some(instance) = &self.instance else {
            return;
        };
        let period = instance.chain.tick_period();
        let waiting = &instance.waiting;
        // It was set when configuring. If Envoy refused now, the period would stay as it is.
        let _ = tick_after(match (waiting.is_empty(), waiting.has_woken()) {
            (_, true) => TICK_WHILE_WOKEN,
            (false, false) => {
                period.map_or(TICK_WHILE_WAITING, |period| period.min(TICK_WHILE_WAITING))
            }
            (true, false) => period.unwrap_or_default(),
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, self.instance.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
