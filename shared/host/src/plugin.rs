//! What a plugin is.

use std::time::Duration;

use portcullis_core::policy::Policy;
use portcullis_core::reply::Reply;

use crate::exchange::{Error, Exchange, Failure};
use crate::instance::Instance;
use crate::worker::{CallId, CallResponse, Worker};

/// How a stream goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// On to the next filter.
    #[default]
    Continue,
    /// Not at all: this is the answer.
    Reply(Reply),
    /// Not yet: the request waits until the plugin [wakes](Worker::wake) it, and is then looked at
    /// anew. What was changed of it stays changed. Responses cannot wait and go on.
    Wait,
}

/// A filter for HTTP streams.
///
/// A plugin wires a policy to Envoy: it takes from the [`Exchange`] what the policy looks at, and
/// does to it what the policy decided. One value serves all streams of a worker; what belongs to
/// one stream is kept in its [`Stream`](Self::Stream).
///
/// An `Err` means that Envoy refused something. A warning is logged, at most once every ten seconds, and
/// [`on_error`](Self::on_error) decides how the stream goes on; so it does when Envoy refuses the changes
/// that a plugin made. No stream passes because of an error alone.
///
/// Every plugin is a [`Chain`](crate::Chain) of one.
pub trait Plugin: Sized + 'static {
    /// The policy.
    type Policy: Policy;

    /// What is remembered of one stream. The default is a stream whose request this plugin has
    /// not seen: another filter may have answered before.
    type Stream: Default;

    /// Makes the plugin. Metrics are defined here, and tables are opened.
    fn new(instance: Instance<Self::Policy>) -> Self;

    /// The instance that it was made of.
    fn instance(&self) -> &Instance<Self::Policy>;

    /// Whether the plugin depends on hearing how streams end. If Envoy does not call
    /// [`on_response`](Self::on_response) and [`on_log`](Self::on_log), or one of them fails, each request of
    /// the next ten seconds begins with [`on_error`](Self::on_error).
    const NEEDS_ENDS: bool = false;

    /// Something failed in the phase of the exchange: the plugin counts it, and decides how the stream
    /// goes on. It may still change an [undecided](Failure::Undecided) exchange.
    ///
    /// In the request and the response phase a reply is sent in place of the message, and if Envoy takes
    /// no reply, the message is held. In the other phases the answer means nothing.
    fn on_error(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow;

    /// The request's headers have come.
    fn on_request(&self, stream: &mut Self::Stream, exchange: &mut Exchange)
    -> Result<Flow, Error>;

    /// The last byte of the request has come; not called for requests that are
    /// [complete](Exchange::is_request_complete) with their headers. The module has to list `request_body` and
    /// `request_trailers` among its callbacks.
    fn on_request_end(
        &self,
        _stream: &mut Self::Stream,
        _exchange: &mut Exchange,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// The response's headers have come, from the upstream, from a filter, or from Envoy itself.
    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error>;

    /// The response's trailers have come. Few responses but those of gRPC have any. The module has to
    /// list `response_trailers` among its callbacks (see `tools/trim`).
    fn on_trailers(
        &self,
        _stream: &mut Self::Stream,
        _exchange: &mut Exchange,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// The stream has ended, one way or another; called exactly once. The module has to list `log`
    /// among its callbacks.
    fn on_log(&self, _stream: &mut Self::Stream, _exchange: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }

    /// How often [`on_tick`](Self::on_tick) is to be called, at least. It is called soon after the
    /// configuration, too, some fifty times a second while requests wait, and more often while many of
    /// them are woken. The module has to list
    /// `tick` among its callbacks.
    fn tick_period(&self) -> Option<Duration> {
        None
    }

    /// Time has passed. Every worker ticks, and Envoy's main thread, which has no streams; so does
    /// what is left of an older configuration, for as long as the listener drains.
    fn on_tick(&self, _worker: &mut Worker) -> Result<(), Error> {
        Ok(())
    }

    /// The most bytes that the body of a response to a call may have. A larger one is handed over cut
    /// short, but longer than this.
    fn max_call_body(&self) -> usize {
        0
    }

    /// A call was answered: of this plugin, or of another one in the same module, whose calls are to
    /// be left alone. The module has to list `http_call_response` among its callbacks.
    fn on_call_response(
        &self,
        _worker: &mut Worker,
        _call: CallId,
        _response: &CallResponse,
    ) -> Result<(), Error> {
        Ok(())
    }
}
