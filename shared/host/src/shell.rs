//! Between the SDK's contexts and a [`Plugin`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use portcullis_policy::config::Document;
use portcullis_policy::reply::Reply;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::abi;
use crate::exchange::{Error, Exchange, Failure, Phase};
use crate::liveness::Liveness;
use crate::logger;
use crate::pairs;
use crate::plugin::{Flow, Plugin, flow_after};
use crate::throttle::Throttle;
use crate::waiting::Waiting;
use crate::worker::{CallId, Worker, call_response};

/// How soon the first tick comes.
const FIRST_TICK: Duration = Duration::from_millis(1);
/// How often ticks come while requests wait, so that no worker learns late what another one fetched.
const TICK_WHILE_WAITING: Duration = Duration::from_millis(20);

/// Registers the plugin with the SDK: what a module does when it is loaded. [`module!`](crate::module)
/// calls it in a module; native tests hand it to their host.
pub fn start<P: Plugin>() {
    proxy_wasm::set_root_context(|id| Box::new(Root::<P> { id, instance: None }));
}

/// A plugin as configured. Streams keep the one they began with, so a new configuration does not
/// change a request under way.
struct Instance<P: Plugin> {
    plugin: P,
    liveness: Liveness,
    warnings: Throttle,
    waiting: Waiting<P::Stream>,
}

struct Root<P: Plugin> {
    id: u32,
    instance: Option<Rc<Instance<P>>>,
}

impl<P: Plugin> Root<P> {
    fn configure(&mut self) -> Result<(), String> {
        let text = abi::plugin_configuration()
            .map_err(|status| format!("the configuration could not be read: {status:?}"))?;
        let config = Document::parse(&text)
            .and_then(P::read)
            .map_err(|errors| errors.to_string())?;
        let plugin = P::new(config);
        for summary in plugin.summaries() {
            log::info!(
                "portcullis {} {} \"{}\": {}",
                summary.plugin,
                env!("CARGO_PKG_VERSION"),
                summary.policy,
                summary.what,
            );
        }
        let liveness = match plugin.tick_period() {
            Some(_) => Liveness::timed(self.begin_ticking()),
            None => Liveness::default(),
        };
        self.instance = Some(Rc::new(Instance {
            plugin,
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

    /// Lets the plugin act outside of streams, and then those streams that it wakes.
    fn act(&self, handle: impl FnOnce(&P, &mut Worker)) {
        let Some(instance) = &self.instance else {
            return;
        };
        let mut worker = Worker::default();
        handle(&instance.plugin, &mut worker);
        instance.warn(worker.failures(), "outside of streams");
        if worker.wakes() {
            instance.wake();
            // Fails only where acting on others failed before, which was noted.
            let _ = act_on(self.id);
        }
    }
}

fn tick_after(period: Duration) -> Result<(), Error> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    let set = abi::set_tick_period(milliseconds);
    set.map_err(Error::of("proxy_set_tick_period_milliseconds"))
}

fn act_on(context: u32) -> Result<(), Error> {
    let set = abi::set_effective_context(context);
    set.map_err(Error::of("proxy_set_effective_context"))
}

impl<P: Plugin> Instance<P> {
    /// Looks anew at the requests that wait.
    fn wake(&self) {
        for (id, stream) in self.waiting.take() {
            // The stream may have ended a moment ago.
            if act_on(id).is_err() {
                continue;
            }
            let stream_state = &mut stream.borrow_mut();
            let flow = match self.request(stream_state) {
                Flow::Continue => self.resume(stream_state),
                flow => flow,
            };
            match flow {
                Flow::Continue => {}
                // A request that cannot be answered stays held.
                Flow::Reply(reply) => {
                    self.reply(&reply);
                }
                Flow::Wait => self.waiting.add(id, &stream),
            }
        }
    }

    /// Lets a request go on that waited; if Envoy refuses, no request is to wait any more, and this one
    /// is answered.
    fn resume(&self, stream: &mut P::Stream) -> Flow {
        let resumed = abi::resume_request().map_err(Error::of("proxy_continue_stream"));
        let Err(error) = resumed else {
            return Flow::Continue;
        };
        self.liveness.cannot_resume(error);
        let mut exchange = Exchange::new(Phase::Request);
        exchange.note(P::NAME, error);
        let flow = self
            .plugin
            .on_error(stream, &mut exchange, Failure::NotDone);
        self.warn(exchange.failures(), Phase::Request);
        flow
    }

    fn request(&self, stream: &mut P::Stream) -> Flow {
        self.run(Phase::Request, stream, |plugin, stream, exchange| {
            if P::NEEDS_LOG
                && let Err(error) = self.liveness.check_log()
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
    }

    /// Calls the plugin, and carries out what it changed.
    fn run(
        &self,
        phase: Phase,
        stream: &mut P::Stream,
        handle: impl FnOnce(&P, &mut P::Stream, &mut Exchange) -> Result<Flow, Error>,
    ) -> Flow {
        let plugin = &self.plugin;
        let mut exchange = Exchange::new(phase);
        let flow = handle(plugin, stream, &mut exchange);
        let mut flow = flow_after(plugin, stream, &mut exchange, flow);
        if !matches!(flow, Flow::Reply(_))
            && let Err(error) = exchange.commit()
        {
            exchange.note(P::NAME, error);
            let decided = plugin.on_error(stream, &mut exchange, Failure::NotDone);
            if decided != Flow::Continue {
                flow = decided;
            }
        }
        self.warn(exchange.failures(), phase);
        flow
    }

    /// Answers the stream; false if Envoy does not take the answer.
    fn reply(&self, reply: &Reply) -> bool {
        let sent = send(reply);
        if let Err(error) = sent {
            self.warn(&[(P::NAME, error)], "no reply");
        }
        sent.is_ok()
    }

    /// Answers in place of a response. If Envoy does not take the answer, and the plugin does not let the
    /// response pass without it, the response is held.
    fn reply_in_place(&self, reply: &Reply, stream: &mut P::Stream) -> Action {
        if self.reply(reply) {
            return Action::Pause;
        }
        let exchange = &mut Exchange::new(Phase::Response);
        match self.plugin.on_error(stream, exchange, Failure::NotDone) {
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

fn send(reply: &Reply) -> Result<(), Error> {
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
        &pairs::encode(headers),
        grpc_status.unwrap_or(DERIVED),
    );
    sent.map_err(Error::of("proxy_send_local_response"))
}

/// The answer in place of every message that a plugin without a configuration should have judged.
fn not_configured() -> Reply {
    Reply {
        status: 503,
        grpc_status: None,
        details: "not_configured".into(),
        headers: Vec::new(),
        body: "Service unavailable\n".into(),
    }
}

impl<P: Plugin> Context for Root<P> {
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
            worker.settle(P::NAME, handled);
        });
    }
}

impl<P: Plugin> RootContext for Root<P> {
    fn on_configure(&mut self, _size: usize) -> bool {
        logger::init();
        match self.configure() {
            Ok(()) => true,
            Err(errors) => {
                log::error!("portcullis {}: configuration refused:\n{errors}", P::NAME);
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
            worker.settle(P::NAME, ticked);
        });
        let Some(instance) = &self.instance else {
            return;
        };
        let period = instance.plugin.tick_period();
        // It was set when configuring. If Envoy refused now, the period would stay as it is.
        let _ = tick_after(match instance.waiting.is_empty() {
            true => period.unwrap_or_default(),
            false => period.map_or(TICK_WHILE_WAITING, |period| period.min(TICK_WHILE_WAITING)),
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id,
            instance: self.instance.clone(),
            state: Rc::default(),
            saw_request: false,
            was_logged: false,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

thread_local! {
    /// Whether this VM said that it has no configuration.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// One HTTP stream.
struct Stream<P: Plugin> {
    id: u32,
    /// `None` if Envoy never had the plugin configured: nothing passes then.
    instance: Option<Rc<Instance<P>>>,
    /// Shared with the list of those that wait.
    state: Rc<RefCell<P::Stream>>,
    saw_request: bool,
    was_logged: bool,
}

impl<P: Plugin> Context for Stream<P> {}

impl<P: Plugin> Stream<P> {
    /// Answers a message for which there is no plugin, once in a stream: the answer itself passes.
    fn refuse(&self) -> Action {
        // If Envoy takes no answer, the message is held.
        let _ = send(&not_configured());
        if !HAS_REFUSED.replace(true) {
            logger::init();
            let name = P::NAME;
            log::error!("portcullis {name}: nothing passes: proxy_on_configure was never called");
        }
        Action::Pause
    }
}

impl<P: Plugin> HttpContext for Stream<P> {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.saw_request = true;
        let Some(instance) = &self.instance else {
            return self.refuse();
        };
        match instance.request(&mut self.state.borrow_mut()) {
            Flow::Continue => return Action::Continue,
            // A request that cannot be answered is held rather than let through.
            Flow::Reply(reply) => {
                instance.reply(&reply);
            }
            Flow::Wait => {
                if instance.waiting.is_empty() {
                    // The period stays as it is if Envoy refuses, and was set before.
                    let _ = tick_after(TICK_WHILE_WAITING);
                }
                instance.waiting.add(self.id, &self.state);
            }
        }
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(instance) = &self.instance else {
            return match self.saw_request {
                true => Action::Continue,
                false => {
                    self.saw_request = true;
                    self.refuse()
                }
            };
        };
        let state = &mut self.state.borrow_mut();
        match instance.run(Phase::Response, state, P::on_response) {
            Flow::Reply(reply) => instance.reply_in_place(&reply, state),
            Flow::Continue | Flow::Wait => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if let Some(instance) = &self.instance {
            let state = &mut self.state.borrow_mut();
            instance.run(Phase::Trailers, state, |plugin, stream, exchange| {
                plugin.on_trailers(stream, exchange)?;
                Ok(Flow::Continue)
            });
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        self.was_logged = true;
        if let Some(instance) = &self.instance {
            instance.waiting.remove(self.id);
            let state = &mut self.state.borrow_mut();
            instance.run(Phase::Log, state, |plugin, stream, exchange| {
                plugin.on_log(stream, exchange)?;
                Ok(Flow::Continue)
            });
        }
    }
}

/// Envoy deletes the context after the end of the stream, which a plugin may have to hear of.
impl<P: Plugin> Drop for Stream<P> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.as_ref().filter(|_| self.saw_request) {
            instance.liveness.ended(self.was_logged);
        }
    }
}
