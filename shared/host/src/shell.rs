//! Between the SDK's contexts and a [`Plugin`].

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use portcullis_policy::config::Document;
use portcullis_policy::reply::Reply;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::abi;
use crate::exchange::{Error, Exchange, Phase};
use crate::logger;
use crate::pairs;
use crate::plugin::{Flow, Plugin};
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
        if plugin.tick_period().is_some() {
            tick_after(FIRST_TICK);
        }
        self.instance = Some(Rc::new(Instance {
            plugin,
            warnings: Throttle::default(),
            waiting: Waiting::default(),
        }));
        Ok(())
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
            // Fails only for a context that does not exist.
            let _ = abi::set_effective_context(self.id);
        }
    }
}

fn tick_after(period: Duration) {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // Envoy refuses no period.
    let _ = abi::set_tick_period(milliseconds);
}

impl<P: Plugin> Instance<P> {
    /// Looks anew at the requests that wait.
    fn wake(&self) {
        for (id, stream, is_complete) in self.waiting.take() {
            // The stream may have ended a moment ago.
            if abi::set_effective_context(id).is_err() {
                continue;
            }
            match self.request(&mut stream.borrow_mut(), is_complete) {
                Flow::Continue => {
                    // Fails only for a stream that is gone.
                    let _ = abi::resume_request();
                }
                Flow::Reply(reply) => {
                    self.reply(&reply);
                }
                Flow::Wait => self.waiting.add(id, &stream, is_complete),
            }
        }
    }

    fn request(&self, stream: &mut P::Stream, is_complete: bool) -> Flow {
        self.run(Phase::Request, is_complete, |exchange| {
            let flow = self.plugin.on_request(stream, exchange);
            exchange.settle(P::NAME, flow)
        })
    }

    /// Calls the plugin, and carries out what it changed.
    fn run(
        &self,
        phase: Phase,
        is_request_complete: bool,
        handle: impl FnOnce(&mut Exchange) -> Flow,
    ) -> Flow {
        let mut exchange = Exchange::new(phase, is_request_complete);
        let flow = handle(&mut exchange);
        if !matches!(flow, Flow::Reply(_)) {
            let committed = exchange.commit();
            exchange.settle(P::NAME, committed);
        }
        self.warn(exchange.failures(), phase);
        flow
    }

    /// Answers the stream; false if Envoy does not take the answer.
    fn reply(&self, reply: &Reply) -> bool {
        let sent = send(reply);
        if let Err(status) = sent {
            self.warn(&[(P::NAME, status.into())], "no reply");
        }
        sent.is_ok()
    }

    fn warn(&self, failures: &[(&'static str, Error)], when: impl std::fmt::Debug) {
        for (plugin, error) in failures {
            if let Some(held_back) = self.warnings.admit(abi::monotonic_nanos()) {
                log::warn!(
                    "portcullis {plugin}: {error} ({when:?}; {held_back} more since the last \
                     warning)"
                );
            }
        }
    }
}

fn send(reply: &Reply) -> Result<(), abi::Status> {
    /// Envoy derives the gRPC status from the HTTP status.
    const DERIVED: i32 = -1;

    let grpc_status = reply.grpc_status.and_then(|code| i32::try_from(code).ok());
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (&name[..], &value[..]));
    abi::send_local_response(
        reply.status.into(),
        &reply.details,
        &reply.body,
        &pairs::encode(headers),
        grpc_status.unwrap_or(DERIVED),
    )
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
        self.act(|plugin, worker| {
            let ticked = plugin.on_tick(worker);
            worker.settle(P::NAME, ticked);
        });
        let Some(instance) = &self.instance else {
            return;
        };
        let period = instance.plugin.tick_period();
        tick_after(match instance.waiting.is_empty() {
            true => period.unwrap_or_default(),
            false => period.map_or(TICK_WHILE_WAITING, |period| period.min(TICK_WHILE_WAITING)),
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id,
            instance: self.instance.clone(),
            state: Rc::default(),
            is_request_complete: false,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One HTTP stream. Without an instance (Envoy opens no stream before a successful configuration)
/// it lets everything pass.
struct Stream<P: Plugin> {
    id: u32,
    instance: Option<Rc<Instance<P>>>,
    /// Shared with the list of those that wait.
    state: Rc<RefCell<P::Stream>>,
    is_request_complete: bool,
}

impl<P: Plugin> Stream<P> {
    fn request_end(&mut self) {
        self.is_request_complete = true;
        if let Some(instance) = &self.instance {
            instance.run(Phase::RequestEnd, true, |exchange| {
                let seen = instance
                    .plugin
                    .on_request_end(&mut self.state.borrow_mut(), exchange);
                exchange.settle(P::NAME, seen);
                Flow::Continue
            });
        }
    }
}

impl<P: Plugin> Context for Stream<P> {}

impl<P: Plugin> HttpContext for Stream<P> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.is_request_complete = end_of_stream;
        let Some(instance) = &self.instance else {
            return Action::Continue;
        };
        match instance.request(&mut self.state.borrow_mut(), end_of_stream) {
            Flow::Continue => return Action::Continue,
            // A request that cannot be answered is held rather than let through.
            Flow::Reply(reply) => {
                instance.reply(&reply);
            }
            Flow::Wait => {
                if instance.waiting.is_empty() {
                    tick_after(TICK_WHILE_WAITING);
                }
                instance.waiting.add(self.id, &self.state, end_of_stream);
            }
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        if end_of_stream && !self.is_request_complete {
            self.request_end();
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if !self.is_request_complete {
            self.request_end();
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(instance) = &self.instance else {
            return Action::Continue;
        };
        let flow = instance.run(Phase::Response, self.is_request_complete, |exchange| {
            let flow = instance
                .plugin
                .on_response(&mut self.state.borrow_mut(), exchange);
            exchange.settle(P::NAME, flow)
        });
        match flow {
            Flow::Reply(reply) if instance.reply(&reply) => Action::Pause,
            Flow::Continue | Flow::Wait | Flow::Reply(_) => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        if let Some(instance) = &self.instance {
            instance.run(Phase::Trailers, self.is_request_complete, |exchange| {
                let seen = instance
                    .plugin
                    .on_trailers(&mut self.state.borrow_mut(), exchange);
                exchange.settle(P::NAME, seen);
                Flow::Continue
            });
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Some(instance) = &self.instance {
            instance.waiting.remove(self.id);
            instance.run(Phase::Log, self.is_request_complete, |exchange| {
                let logged = instance
                    .plugin
                    .on_log(&mut self.state.borrow_mut(), exchange);
                exchange.settle(P::NAME, logged);
                Flow::Continue
            });
        }
    }
}
