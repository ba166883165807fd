//! The context of one HTTP stream: it turns Envoy's callbacks into exchanges, and flows into actions.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_core::reply::Reply;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::chain::Chain;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::logger;
use crate::phase::Phase;
use crate::plugin::Flow;
use crate::runner::{Runner, send};
use crate::timer::{TICK_WHILE_WAITING, tick_after};

/// The reply to every message that Envoy gives to a module without a configuration.
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
    /// Whether this VM has logged that it has no configuration.
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// One HTTP stream.
pub(crate) struct HttpStream<C: Chain> {
    id: u32,
    /// `None` if Envoy never configured the module: nothing passes then.
    runner: Option<Rc<Runner<C>>>,
    /// Shared with the queue of waiting requests.
    state: Rc<RefCell<C::Stream>>,
    saw_request: bool,
    /// Whether the whole request has arrived, as far as Envoy has reported.
    is_request_complete: bool,
    /// `None` until the chain has let the request pass.
    observed: Option<Observed>,
}

/// The events that a chain has seen of a request that it let pass; see
/// [`Plugin::NEEDS_STREAM_END`](crate::Plugin::NEEDS_STREAM_END).
#[derive(Default)]
struct Observed {
    response: bool,
    end: bool,
    failed: Option<Error>,
}

impl<C: Chain> Context for HttpStream<C> {}

impl<C: Chain> HttpStream<C> {
    pub(crate) fn new(id: u32, runner: Option<Rc<Runner<C>>>) -> Self {
        Self {
            id,
            runner,
            state: Rc::default(),
            saw_request: false,
            is_request_complete: false,
            observed: None,
        }
    }

    fn exchange(&self, phase: Phase, runner: &Runner<C>) -> Exchange {
        Exchange::new(phase, self.is_request_complete, &runner.callbacks)
    }

    /// Calls the chain in a phase in which it does not decide the flow.
    fn observe(
        &mut self,
        phase: Phase,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange) -> Result<(), Error>,
    ) {
        let Some(runner) = &self.runner else {
            return;
        };
        let state = &mut self.state.borrow_mut();
        let exchange = self.exchange(phase, runner);
        let ran = runner.run(exchange, state, |chain, stream, exchange| {
            handle(chain, stream, exchange)?;
            Ok(Flow::Continue)
        });
        if let Some(observed) = &mut self.observed {
            observed.failed = observed.failed.or(ran.end_failure);
        }
    }

    /// The last byte of the request has arrived, or its trailers.
    fn request_end(&mut self) {
        if !self.is_request_complete {
            self.is_request_complete = true;
            self.observe(Phase::RequestEnd, C::on_request_end);
        }
    }

    /// Answers a message for which there is no configuration, once in a stream: the reply itself passes.
    fn refuse(&self) -> Action {
        // If Envoy does not accept the reply, the message is held.
        let _ = send(&not_configured());
        if !HAS_REFUSED.replace(true) {
            logger::init();
            let name = C::NAME;
            log::error!(
                "portcullis {name}: every message is refused: Envoy never called proxy_on_configure"
            );
        }
        Action::Pause
    }
}

impl<C: Chain> HttpContext for HttpStream<C> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.saw_request = true;
        self.is_request_complete = end_of_stream;
        let Some(runner) = &self.runner else {
            return self.refuse();
        };
        match runner.request(&mut self.state.borrow_mut(), end_of_stream) {
            Flow::Continue => {
                self.observed = Some(Observed::default());
                return Action::Continue;
            }
            // A request that cannot be answered is held rather than let through.
            Flow::Reply(reply) => {
                runner.reply(&reply);
            }
            Flow::Wait => {
                if runner.waiting.is_empty() {
                    // If Envoy refuses, the period from the configuration stays.
                    let _ = tick_after(TICK_WHILE_WAITING);
                }
                runner.waiting.add(self.id, &self.state, end_of_stream);
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
        let Some(runner) = &self.runner else {
            return match self.saw_request {
                true => Action::Continue,
                false => {
                    self.saw_request = true;
                    self.refuse()
                }
            };
        };
        let state = &mut self.state.borrow_mut();
        let exchange = self.exchange(Phase::Response, runner);
        let ran = runner.run(exchange, state, C::on_response);
        if let Some(observed) = &mut self.observed {
            observed.response = true;
            observed.failed = observed.failed.or(ran.end_failure);
        }
        let passes = match ran.flow {
            Flow::Reply(reply) => {
                runner.reply_in_place(&reply, state, self.exchange(Phase::Response, runner))
            }
            Flow::Continue | Flow::Wait => true,
        };
        match passes {
            true => Action::Continue,
            false => Action::Pause,
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.observe(Phase::Trailers, C::on_trailers);
        Action::Continue
    }

    fn on_log(&mut self) {
        let Some(runner) = &self.runner else {
            return;
        };
        runner.waiting.remove(self.id);
        let state = &mut self.state.borrow_mut();
        let mut exchange = self.exchange(Phase::Log, runner);
        exchange.misses_response = self.observed.as_ref().is_some_and(|it| !it.response);
        let ran = runner.run(exchange, state, |chain, stream, exchange| {
            chain.on_log(stream, exchange)?;
            Ok(Flow::Continue)
        });
        if let Some(observed) = &mut self.observed {
            observed.end = true;
            observed.failed = observed.failed.or(ran.end_failure);
        }
    }
}

/// Envoy deletes the context after the end of the stream, on which a chain may depend.
impl<C: Chain> Drop for HttpStream<C> {
    fn drop(&mut self) {
        if let (Some(runner), Some(observed)) = (&self.runner, &self.observed)
            && runner.chain.needs_stream_end()
        {
            runner
                .callbacks
                .stream_ended(match (observed.failed, observed.end) {
                    (Some(error), _) => Err(error),
                    (None, false) => Err(Error::NotCalled("proxy_on_log")),
                    (None, true) => Ok(()),
                });
        }
    }
}
