//! Runs the callbacks of a configured chain: calls the plugins, carries out their changes, and sends their replies.

use std::rc::Rc;

use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;

use crate::abi;
use crate::callback_monitor::CallbackMonitor;
use crate::chain::{Chain, flow_after};
use crate::error::{Error, Failure};
use crate::exchange::Exchange;
use crate::header_codec;
use crate::phase::Phase;
use crate::plugin::Flow;
use crate::wait_queue::WaitQueue;
use crate::warnings::WarningLimiter;

/// A callback judges no further woken request after this time. It so takes at most this long and one request more; a
/// plain request takes about 0.2 ms.
const SLICE: Nanos = Nanos::from_millis(2);
/// A callback judges at most this many woken requests, even if the clock cannot be read.
const SLICE_REQUESTS: usize = 32;

/// A configured chain. Streams keep the one that they began with, so a new configuration does not change a request in
/// progress.
pub(crate) struct Runner<C: Chain> {
    pub(crate) chain: C,
    pub(crate) callbacks: Rc<CallbackMonitor>,
    pub(crate) waiting: WaitQueue<C::Stream>,
    warnings: WarningLimiter,
}

/// The result of a callback.
pub(crate) struct Ran {
    pub(crate) flow: Flow,
    /// The first failure of a plugin that depends on learning how streams end.
    pub(crate) end_failure: Option<Error>,
}

impl<C: Chain> Runner<C> {
    pub(crate) fn new(chain: C, callbacks: CallbackMonitor) -> Self {
        Self {
            chain,
            callbacks: Rc::new(callbacks),
            waiting: WaitQueue::default(),
            warnings: WarningLimiter::default(),
        }
    }

    /// Judges the next woken requests, in a callback that began at this time.
    pub(crate) fn judge_woken(&self, started: Option<Nanos>) {
        for judged in 0..SLICE_REQUESTS {
            let taken = started.and_then(|started| Some(abi::monotonic_time().ok()? - started));
            // At least one in each callback, so that the queue gets shorter.
            if judged > 0 && taken.is_some_and(|taken| taken >= SLICE) {
                return;
            }
            let Some((context, stream, is_complete)) = self.waiting.next() else {
                return;
            };
            // The stream may have just ended.
            if act_on(context).is_err() {
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
                Flow::Wait => self.waiting.add(context, &stream, is_complete),
            }
        }
    }

    /// Resumes a waiting request. If Envoy refuses, no further request may wait, and this one gets a reply.
    fn resume(&self, stream: &mut C::Stream, is_complete: bool) -> Flow {
        let resumed = abi::resume_request().map_err(Error::of("proxy_continue_stream"));
        let Err(error) = resumed else {
            return Flow::Continue;
        };
        self.callbacks.cannot_resume(error);
        let mut exchange = Exchange::new(Phase::Request, is_complete, &self.callbacks);
        exchange.note(C::NAME, error);
        let flow = self.chain.on_error(stream, &mut exchange, Failure::NotDone);
        self.warn(exchange.failures(), Phase::Request);
        flow
    }

    /// Judges a request; `is_complete` if it has neither a body nor trailers.
    pub(crate) fn request(&self, stream: &mut C::Stream, is_complete: bool) -> Flow {
        let exchange = Exchange::new(Phase::Request, is_complete, &self.callbacks);
        self.run(exchange, stream, C::on_request).flow
    }

    /// Calls the chain, and carries out its changes.
    pub(crate) fn run(
        &self,
        mut exchange: Exchange,
        stream: &mut C::Stream,
        handle: impl FnOnce(&C, &mut C::Stream, &mut Exchange) -> Result<Flow, Error>,
    ) -> Ran {
        let chain = &self.chain;
        let flow = handle(chain, stream, &mut exchange);
        let mut flow = flow_after(chain, stream, &mut exchange, flow);
        if !matches!(flow, Flow::Reply(_))
            && let Err(error) = exchange.commit()
        {
            exchange.note(C::NAME, error);
            let decided = chain.on_error(stream, &mut exchange, Failure::NotDone);
            if decided != Flow::Continue {
                flow = decided;
            }
        }
        self.warn(exchange.failures(), exchange.phase());
        Ran {
            flow,
            end_failure: exchange.end_failure,
        }
    }

    /// Answers the stream; false if Envoy does not accept the reply.
    pub(crate) fn reply(&self, reply: &Reply) -> bool {
        let sent = send(reply);
        if let Err(error) = sent {
            self.warn(&[(C::NAME, error)], "no reply");
        }
        sent.is_ok()
    }

    /// Sends a reply in place of a response. Returns whether the response passes: only if Envoy does not accept the
    /// reply and the chain lets the response pass. Otherwise the response is held.
    pub(crate) fn reply_in_place(
        &self,
        reply: &Reply,
        stream: &mut C::Stream,
        mut exchange: Exchange,
    ) -> bool {
        if self.reply(reply) {
            return false;
        }
        let flow = self.chain.on_error(stream, &mut exchange, Failure::NotDone);
        flow == Flow::Continue
    }

    pub(crate) fn warn(&self, failures: &[(&'static str, Error)], when: impl std::fmt::Debug) {
        for (plugin, error) in failures {
            // Without a clock, the first warning is the only one.
            let now = abi::monotonic_time().unwrap_or_default();
            if let Some(suppressed) = self.warnings.admit(now) {
                log::warn!(
                    "portcullis {plugin}: {error} ({when:?}; {suppressed} more since the last \
                     warning)"
                );
            }
        }
    }
}

/// Makes the following host calls act on another context.
pub(crate) fn act_on(context: u32) -> Result<(), Error> {
    let set = abi::set_effective_context(context);
    set.map_err(Error::of("proxy_set_effective_context"))
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
