//! The interface between a plugin and its host.

use std::time::Duration;

use portcullis_core::policy::Policy;
use portcullis_core::reply::Reply;

use crate::call::{CallId, CallResponse};
use crate::error::{Error, Failure};
use crate::exchange::Exchange;
use crate::instance::Instance;
use crate::runner::TICK_WHILE_WAITING;
use crate::worker::Worker;

/// How a stream goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// The message goes on to the next filter.
    #[default]
    Continue,
    /// The stream ends here, with this reply. Few do, and the others should not pay for its size.
    Reply(Box<Reply>),
    /// The request waits until the plugin [wakes](Worker::wake) it, and [`Plugin::on_request`] then judges it again.
    /// It may also be judged again for no reason, and then waits on. Its changes so far remain. Responses cannot wait:
    /// they continue.
    Wait,
}

impl Flow {
    /// The stream ends here, with this reply.
    pub fn reply(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

/// A filter for HTTP streams.
///
/// A plugin wires a policy to Envoy: it collects from the [`Exchange`] the facts that the policy needs, and carries
/// out the policy's decision on it. One value serves all streams of a worker; the state of one stream is in its
/// [`Stream`](Self::Stream).
///
/// An `Err` means that Envoy refused something. The host logs a warning, at most once every ten seconds, and
/// [`on_error`](Self::on_error) decides how the stream goes on. The same happens when Envoy refuses a change that the
/// plugin made. No stream passes because of an error alone.
///
/// Some callbacks come only if the module lists them in its `Cargo.toml`, under `package.metadata.envoy`; see
/// `tools/trim`.
pub trait Plugin: Sized + 'static {
    /// The policy.
    type Policy: Policy;

    /// The state of one stream. The default is a stream whose request this plugin has not seen, because another
    /// filter answered it before.
    type Stream: Default;

    /// Creates the plugin. It defines its metrics and opens its tables here.
    fn new(instance: Instance<Self::Policy>) -> Self;

    /// The instance that [`new`](Self::new) received.
    fn instance(&self) -> &Instance<Self::Policy>;

    /// Whether the plugin depends on learning how streams end. If Envoy does not call
    /// [`on_response`](Self::on_response) and [`on_log`](Self::on_log), or one of them fails, then for ten seconds
    /// each request begins with [`on_error`](Self::on_error).
    const NEEDS_STREAM_END: bool = false;

    /// The tick period while requests wait. In WebAssembly, this bounds the time after which a worker learns of the
    /// response to another worker's call.
    const TICK_WHILE_WAITING: Duration = TICK_WHILE_WAITING;

    /// Whether [`on_response`](Self::on_response) does anything.
    const SEES_RESPONSES: bool = true;

    /// Whether [`on_log`](Self::on_log) does anything with some configuration.
    const SEES_END: bool = true;

    /// Whether [`on_log`](Self::on_log) does anything with this configuration.
    fn sees_end(&self) -> bool {
        Self::SEES_END
    }

    /// Something failed in the phase of the exchange. The plugin counts it, and decides how the stream goes on. It
    /// may still change an [undecided](Failure::Undecided) exchange.
    ///
    /// In the request and response phases the host sends a reply in place of the message, and holds the message if
    /// Envoy does not accept the reply. In the other phases the host ignores the result.
    fn on_error(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow;

    /// Whether [`on_request`](Self::on_request) does anything with this configuration. If not, it is not called.
    fn sees_requests(&self) -> bool {
        true
    }

    /// The request's headers have arrived.
    fn on_request(&self, stream: &mut Self::Stream, exchange: &mut Exchange)
    -> Result<Flow, Error>;

    /// The last byte of the request has arrived. Not called for requests that are
    /// [complete](Exchange::is_request_complete) with their headers. The module has to list `request_body` and
    /// `request_trailers` among its callbacks.
    fn on_request_end(
        &self,
        _stream: &mut Self::Stream,
        _exchange: &mut Exchange,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// The response's headers have arrived, from the upstream, from a filter, or from Envoy itself.
    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error>;

    /// The response's trailers have arrived. Few responses other than those of gRPC have any. The module has to
    /// list `response_trailers` among its callbacks.
    fn on_trailers(
        &self,
        _stream: &mut Self::Stream,
        _exchange: &mut Exchange,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// The stream has ended, for whatever reason. Called exactly once. In a module that does not list `log` among its
    /// callbacks, this is when Envoy forgets the stream, directly after the log; a plugin that
    /// [needs](Self::NEEDS_STREAM_END) the end must list it.
    fn on_log(&self, _stream: &mut Self::Stream, _exchange: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    /// The longest time between two calls of [`on_tick`](Self::on_tick). The first call follows soon after the
    /// configuration. While requests wait, a call comes after
    /// [`TICK_WHILE_WAITING`](Self::TICK_WHILE_WAITING) at the latest; while many woken requests are left to judge, more
    /// often. The module has to list `tick` among its callbacks.
    fn tick_period(&self) -> Option<Duration> {
        None
    }

    /// Time has passed. Every worker calls this, and so does Envoy's main thread, which has no streams. Instances of
    /// an older configuration call it for as long as their listener drains.
    fn on_tick(&self, _worker: &mut Worker) -> Result<(), Error> {
        Ok(())
    }

    /// The largest body, in bytes, that a response to a call may have. A larger body arrives truncated, one byte
    /// longer than this.
    fn max_call_body(&self) -> usize {
        0
    }

    /// The response to a call has arrived. The call may belong to another plugin in the same module: ignore
    /// unknown ids and memos. The module has to list `http_call_response` among its callbacks.
    ///
    /// In WebAssembly, this comes in the worker that has called; in the library, in the main thread, for all workers.
    /// There, this plugin's own fields are not those of the plugin that has called. So account for the response with
    /// its [memo](CallResponse::memo) and with shared state, put the result for a waiting request into the memo, and
    /// wake the request.
    ///
    /// Envoy always answers, but a worker or a configuration can end before. A request that waits needs a deadline of
    /// its own: [`on_tick`](Self::on_tick) wakes it then.
    fn on_call_response(
        &self,
        _worker: &mut Worker,
        _call: CallId,
        _response: &CallResponse,
    ) -> Result<(), Error> {
        Ok(())
    }
}
