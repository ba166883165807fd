//! One HTTP stream: it turns the callbacks of a back end into exchanges, and flows into what Envoy is to do.
//!
//! Envoy may call back during a reply and during the resumption of a request, for example about the end of the same
//! stream. So nothing is borrowed while either is carried out.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use portcullis_core::reply::Reply;

use crate::backend::StreamHost;
use crate::chain::Chain;
use crate::error::{Callback, Error, Failure};
use crate::exchange::Exchange;
use crate::own_reply;
use crate::phase::Phase;
use crate::plugin::Flow;
use crate::runner::Runner;
use crate::wait_queue::{Calls, Turn, Waiter};

/// What Envoy does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It passes the message to the next filter.
    Continue,
    /// It holds the message, because the request waits, or a reply took its place, or Envoy did not accept the reply.
    Hold,
}

/// One HTTP stream.
pub struct HttpStream<C: Chain, H: StreamHost> {
    runner: Rc<Runner<C>>,
    host: H,
    /// The one that passes a wake-up on to this stream.
    waiter: Weak<dyn Waiter>,
    state: RefCell<C::Stream>,
    /// Whether the whole request has arrived, as far as Envoy has reported.
    is_request_complete: Cell<bool>,
    /// The place among the waiting requests.
    turn: Cell<Option<Turn>>,
    /// The calls that the request has made before or while it waits.
    calls: RefCell<Calls>,
    /// Whether this chain has sent a reply, or has tried to.
    is_answered: Cell<bool>,
    /// Whether the chain knows that the stream has ended.
    has_ended: Cell<bool>,
    /// `None` until the chain has let the request pass.
    observed: Cell<Option<Observed>>,
}

/// The events that a chain has seen of a request that it let pass; see
/// [`Plugin::NEEDS_STREAM_END`](crate::Plugin::NEEDS_STREAM_END).
#[derive(Clone, Copy, Default)]
struct Observed {
    response: bool,
    end: bool,
    failed: Option<Error>,
}

impl<C: Chain, H: StreamHost> HttpStream<C, H> {
    /// A stream that begins. `waiter` owns it, and passes [`judge_again`](Self::judge_again) on.
    pub fn new(runner: Rc<Runner<C>>, host: H, waiter: Weak<dyn Waiter>) -> Self {
        Self {
            runner,
            host,
            waiter,
            state: RefCell::default(),
            is_request_complete: Cell::new(false),
            turn: Cell::new(None),
            calls: RefCell::default(),
            is_answered: Cell::new(false),
            has_ended: Cell::new(false),
            observed: Cell::new(None),
        }
    }

    /// The request's headers have arrived; `is_complete` if it has neither a body nor trailers.
    pub fn request_headers(&self, is_complete: bool) -> Next {
        self.is_request_complete.set(is_complete);
        let flow = match self.runner.chain.sees_requests() {
            true => self.judge(is_complete),
            false => Flow::Continue,
        };
        self.proceed(flow)
    }

    /// The last byte of the request has arrived, or its trailers.
    pub fn request_end(&self) {
        if !self.is_request_complete.replace(true) {
            self.observe(Phase::RequestEnd, C::on_request_end);
        }
    }

    /// The response's headers have arrived.
    pub fn response_headers(&self) -> Next {
        // Envoy may have answered a request that waits, for example because it took too long.
        self.leave_queue();
        if !self.runner.chain.sees_responses() {
            return Next::Continue;
        }
        let flow = self.run(&mut self.exchange(Phase::Response), C::on_response);
        self.update_observed(|observed| observed.response = true);
        let Flow::Reply(reply) = flow else {
            return Next::Continue;
        };
        match self.send(&reply) || self.refused_reply() != Flow::Continue {
            true => Next::Hold,
            false => Next::Continue,
        }
    }

    /// The response's trailers have arrived.
    pub fn response_trailers(&self) {
        self.observe(Phase::Trailers, C::on_trailers);
    }

    /// Envoy is about to forget the stream. A module that does not export the callback for the log learns only now that
    /// the stream has ended, and saves the cost of one callback for each stream.
    ///
    /// A chain that depends on the end must get it with the log, and notices if that never comes.
    pub fn close(&self) {
        if !self.has_ended.get() && !self.runner.chain.needs_stream_end() {
            self.log();
        }
    }

    /// Whether [`log`](Self::log) does anything.
    pub fn awaits_end(&self) -> bool {
        self.turn.get().is_some() || self.runner.chain.sees_end()
    }

    /// The stream has ended.
    pub fn log(&self) {
        self.has_ended.set(true);
        self.leave_queue();
        if !self.runner.chain.sees_end() {
            return;
        }
        let mut exchange = self.exchange(Phase::Log);
        exchange.misses_response = self.observed.get().is_some_and(|it| !it.response);
        self.run(&mut exchange, |chain, stream, exchange| {
            chain.on_log(stream, exchange)?;
            Ok(Flow::Continue)
        });
        self.update_observed(|observed| observed.end = true);
    }

    /// A callback in this phase panicked. Decides about the message in the chain's place.
    pub fn panicked(&self, phase: Phase) -> Next {
        // It may have panicked after its decision. There is one reply to a stream, and no second judgement.
        self.leave_queue();
        let decided = self.flow_after_panic(phase);
        if self.is_answered.get() {
            return Next::Hold;
        }
        match phase {
            Phase::Request => self.proceed(decided),
            Phase::Response => match decided {
                Flow::Reply(reply) => {
                    self.send(&reply);
                    Next::Hold
                }
                Flow::Continue | Flow::Wait => Next::Continue,
            },
            Phase::RequestEnd | Phase::Trailers | Phase::Log => Next::Continue,
        }
    }

    fn flow_after_panic(&self, phase: Phase) -> Flow {
        let mut exchange = self.exchange(phase);
        self.run(&mut exchange, |_, _, _| Err(Error::Panicked))
    }

    /// Judges the request, which is woken. After a panic the chain decides as after any other error, and if that panics
    /// too, the request is answered with 503.
    pub fn judge_again(&self) {
        self.turn.set(None);
        self.host.end_wait();
        // The back end runs a callback about another stream, and could not say which one panicked.
        let is_done = survives(|| self.judge_woken())
            || self.is_answered.get()
            || survives(|| self.go_on(self.panicked(Phase::Request)))
            || self.is_answered.get();
        if !is_done {
            self.leave_queue();
            self.send(&Reply {
                status: 503,
                grpc_status: None,
                details: "plugin_panicked".into(),
                headers: Vec::new(),
                body: Bytes::new(),
            });
        }
    }

    fn judge_woken(&self) {
        // The stream may have just ended.
        if self.host.enter().is_ok() {
            let flow = self.judge(self.is_request_complete.get());
            self.go_on(self.proceed(flow));
        }
    }

    /// Resumes a request that does not wait any more, if that was the decision.
    fn go_on(&self, next: Next) {
        if next == Next::Continue
            && let Err(error) = self.host.resume()
        {
            // No further request may wait, and this one gets a reply.
            self.runner.callbacks.cannot_resume(error);
            let mut exchange = self.exchange(Phase::Request);
            exchange.note(C::NAME, error);
            let decided = {
                let state = &mut self.state.borrow_mut();
                let chain = &self.runner.chain;
                chain.on_error(state, &mut exchange, Failure::NotDone)
            };
            self.runner.warn(exchange.failures(), Phase::Request);
            drop(exchange);
            self.proceed(decided);
        }
    }

    fn judge(&self, is_complete: bool) -> Flow {
        let mut exchange = Exchange::new(
            Phase::Request,
            is_complete,
            &self.host,
            &self.runner.callbacks,
            &self.runner.memory,
        );
        let flow = self.run(&mut exchange, C::on_request);
        if !exchange.calls.is_empty() {
            let calls = exchange.calls.drain(..);
            self.calls.borrow_mut().extend(calls);
        }
        flow
    }

    /// Carries out the decision about a request. A request that cannot be answered is held rather than let through.
    fn proceed(&self, flow: Flow) -> Next {
        match flow {
            Flow::Continue => {
                if self.runner.chain.needs_stream_end() {
                    self.observed.set(Some(Observed::default()));
                }
                return Next::Continue;
            }
            Flow::Reply(reply) => {
                let reply = match self.host.shows_own_replies() {
                    true => *reply,
                    false => self.passed_reply(*reply),
                };
                self.send(&reply);
            }
            Flow::Wait => {
                let waiting = &self.runner.waiting;
                let tick = self.runner.chain.tick_while_waiting();
                self.host.begin_wait(waiting.is_empty(), tick);
                let calls = self.calls.borrow().clone();
                let turn = waiting.add(Weak::clone(&self.waiter), calls);
                self.turn.set(Some(turn));
            }
        }
        Next::Hold
    }

    /// The reply after it has passed the plugins that the request has reached, as Envoy would let it pass.
    fn passed_reply(&self, reply: Reply) -> Reply {
        if !self.runner.chain.sees_responses() {
            return reply;
        }
        let is_grpc = own_reply::is_grpc(&self.host);
        let headers = own_reply::headers(&reply, is_grpc);
        let mut exchange = Exchange::own_reply(
            headers,
            &reply,
            self.is_request_complete.get(),
            &self.host,
            &self.runner.callbacks,
            &self.runner.memory,
        );
        match self.run(&mut exchange, C::on_response) {
            Flow::Reply(other) => *other,
            Flow::Continue | Flow::Wait => own_reply::with_headers(reply, &exchange.into_headers()),
        }
    }

    /// Answers the stream; false if Envoy does not accept the reply.
    fn send(&self, reply: &Reply) -> bool {
        self.is_answered.set(true);
        let sent = self.host.reply(reply);
        if let Err(error) = sent {
            self.runner.warn(&[(C::NAME, error)], "no reply");
        }
        sent.is_ok()
    }

    /// The decision about a response whose reply Envoy did not accept.
    fn refused_reply(&self) -> Flow {
        let state = &mut self.state.borrow_mut();
        let exchange = &mut self.exchange(Phase::Response);
        self.runner
            .chain
            .on_error(state, exchange, Failure::NotDone)
    }

    /// Calls the chain in a phase in which it does not decide the flow.
    fn observe(
        &self,
        phase: Phase,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange<'_>) -> Result<(), Error>,
    ) {
        self.run(&mut self.exchange(phase), |chain, stream, exchange| {
            handle(chain, stream, exchange)?;
            Ok(Flow::Continue)
        });
    }

    fn run(
        &self,
        exchange: &mut Exchange<'_>,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange<'_>) -> Result<Flow, Error>,
    ) -> Flow {
        let flow = self
            .runner
            .run(exchange, &mut self.state.borrow_mut(), handle);
        if let Some(error) = exchange.end_failure {
            self.update_observed(|observed| observed.failed = observed.failed.or(Some(error)));
        }
        flow
    }

    fn exchange(&self, phase: Phase) -> Exchange<'_> {
        Exchange::new(
            phase,
            self.is_request_complete.get(),
            &self.host,
            &self.runner.callbacks,
            &self.runner.memory,
        )
    }

    fn update_observed(&self, update: impl FnOnce(&mut Observed)) {
        if let Some(mut observed) = self.observed.get() {
            update(&mut observed);
            self.observed.set(Some(observed));
        }
    }

    /// The request waits no longer, or the stream ends.
    pub fn leave_queue(&self) {
        if let Some(turn) = self.turn.take() {
            self.runner.waiting.remove(turn);
            self.host.end_wait();
        }
    }
}

/// Calls a function; false if it panicked, which is in the log.
fn survives(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_ok()
}

/// For a back end that owns the stream alone.
impl<C: Chain, H: StreamHost> Waiter for HttpStream<C, H> {
    fn judge_again(&self) {
        self.judge_again();
    }
}

/// The back end drops the stream after its end, on which a chain may depend.
impl<C: Chain, H: StreamHost> Drop for HttpStream<C, H> {
    fn drop(&mut self) {
        self.leave_queue();
        if let Some(observed) = self.observed.get()
            && self.runner.chain.needs_stream_end()
        {
            let callbacks = &self.runner.callbacks;
            callbacks.stream_ended(match (observed.failed, observed.end) {
                (Some(error), _) => Err(error),
                (None, false) => Err(Error::NotCalled(Callback::Log)),
                (None, true) => Ok(()),
            });
        }
    }
}

#[cfg(test)]
mod tests;
