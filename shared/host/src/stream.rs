//! One HTTP stream, between the SDK and a plugin.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_core::reply::Reply;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::chain::Chain;
use crate::exchange::{Error, Exchange, Phase, Property};
use crate::logger;
use crate::plugin::Flow;
use crate::shell::{Configured, TICK_WHILE_WAITING, send, tick_after};

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

thread_local! {
    /// Whether this VM said that it has no configuration.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// One HTTP stream.
pub(crate) struct Stream<C: Chain> {
    id: u32,
    /// `None` if Envoy never had the plugin configured: nothing passes then.
    instance: Option<Rc<Configured<C>>>,
    /// Shared with the list of those that wait.
    state: Rc<RefCell<C::Stream>>,
    saw_request: bool,
    /// Whether the whole request has come, as far as Envoy says.
    is_request_complete: bool,
    /// What the plugin has heard of a request that it let pass.
    heard: Option<Heard>,
}

/// See [`Plugin::NEEDS_ENDS`](crate::Plugin::NEEDS_ENDS).
#[derive(Default)]
struct Heard {
    response: bool,
    end: bool,
    failed: Option<Error>,
}

impl<C: Chain> Context for Stream<C> {}

impl<C: Chain> Stream<C> {
    pub(crate) fn new(id: u32, instance: Option<Rc<Configured<C>>>) -> Self {
        Self {
            id,
            instance,
            state: Rc::default(),
            saw_request: false,
            is_request_complete: false,
            heard: None,
        }
    }

    fn exchange(&self, phase: Phase) -> Exchange {
        Exchange::new(phase, self.is_request_complete)
    }

    /// Calls the plugin where the stream goes on whatever comes of it.
    fn look_on(
        &mut self,
        phase: Phase,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange) -> Result<(), Error>,
    ) {
        let Some(instance) = &self.instance else {
            return;
        };
        let state = &mut self.state.borrow_mut();
        let ran = instance.run(self.exchange(phase), state, |plugin, stream, exchange| {
            handle(plugin, stream, exchange)?;
            Ok(Flow::Continue)
        });
        if let Some(heard) = &mut self.heard {
            heard.failed = heard.failed.or(ran.failed);
        }
    }

    /// The last byte of the request, or its trailers, have come.
    fn request_end(&mut self) {
        if !self.is_request_complete {
            self.is_request_complete = true;
            self.look_on(Phase::RequestEnd, C::on_request_end);
        }
    }

    /// Answers a message for which there is no plugin, once in a stream: the answer itself passes.
    fn refuse(&self) -> Action {
        // If Envoy takes no answer, the message is held.
        let _ = send(&not_configured());
        if !HAS_REFUSED.replace(true) {
            logger::init();
            let name = C::NAME;
            log::error!("portcullis {name}: nothing passes: proxy_on_configure was never called");
        }
        Action::Pause
    }
}

impl<C: Chain> HttpContext for Stream<C> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.saw_request = true;
        self.is_request_complete = end_of_stream;
        let Some(instance) = &self.instance else {
            return self.refuse();
        };
        match instance.request(&mut self.state.borrow_mut(), end_of_stream) {
            Flow::Continue => {
                self.heard = Some(Heard::default());
                return Action::Continue;
            }
            // A request that cannot be answered is held rather than let through.
            Flow::Reply(reply) => {
                instance.reply(&reply);
            }
            Flow::Wait => {
                if instance.waiting.is_empty() {
                    // The period stays as it is if Envoy refuses, and was set before.
                    let _ = tick_after(TICK_WHILE_WAITING);
                }
                instance.waiting.add(self.id, &self.state, end_of_stream);
            }
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            self.request_end();
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.request_end();
        Action::Continue
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
        let ran = instance.run(self.exchange(Phase::Response), state, C::on_response);
        if let Some(heard) = &mut self.heard {
            heard.response = true;
            heard.failed = heard.failed.or(ran.failed);
        }
        match ran.flow {
            Flow::Reply(reply) => {
                instance.reply_in_place(&reply, state, self.exchange(Phase::Response))
            }
            Flow::Continue | Flow::Wait => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.look_on(Phase::Trailers, C::on_trailers);
        Action::Continue
    }

    fn on_log(&mut self) {
        let Some(instance) = &self.instance else {
            return;
        };
        instance.waiting.remove(self.id);
        let state = &mut self.state.borrow_mut();
        let misses_response = C::NEEDS_ENDS && self.heard.as_ref().is_some_and(|it| !it.response);
        let ran = instance.run(
            self.exchange(Phase::Log),
            state,
            |plugin, stream, exchange| {
                plugin.on_log(stream, exchange)?;
                match misses_response && has_response(exchange)? {
                    true => Err(Error::NotCalled("proxy_on_response_headers")),
                    false => Ok(Flow::Continue),
                }
            },
        );
        if let Some(heard) = &mut self.heard {
            heard.end = true;
            heard.failed = heard.failed.or(ran.failed);
        }
    }
}

/// Whether a stream that has ended had a response of its upstream that the client waited for.
fn has_response(exchange: &Exchange) -> Result<bool, Error> {
    let details = exchange.property(Property::RESPONSE_CODE_DETAILS)?;
    if details.as_deref() != Some(Property::VIA_UPSTREAM) {
        return Ok(false);
    }
    let flags = exchange.number(Property::RESPONSE_FLAGS)?;
    Ok(flags.unwrap_or_default() & Property::CLIENT_GONE == 0)
}

/// Envoy deletes the context after the end of the stream, which a plugin may depend on hearing of.
impl<C: Chain> Drop for Stream<C> {
    fn drop(&mut self) {
        if let (Some(instance), Some(heard)) = (&self.instance, &self.heard)
            && C::NEEDS_ENDS
        {
            instance.liveness.ended(match (heard.failed, heard.end) {
                (Some(error), _) => Err(error),
                (None, false) => Err(Error::NotCalled("proxy_on_log")),
                (None, true) => Ok(()),
            });
        }
    }
}
