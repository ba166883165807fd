//! What a plugin is, and how two become one.

use std::time::Duration;

use portcullis_core::config::{Document, Errors, Name};
use portcullis_core::reply::Reply;

use crate::exchange::{Error, Exchange, Failure};
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

/// What one line in the log says of a plugin when it has been configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The plugin's name, [`Plugin::NAME`].
    pub plugin: &'static str,
    /// The instance's name.
    pub policy: Name,
    /// Its mode, its rules: what an operator wants to see at 3 a.m.
    pub what: String,
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
/// A [`Pair`] of plugins is a plugin too, so any number of them can form one module that Envoy
/// enters once: `Pair<A, Pair<B, C>>`. It behaves like a chain of filters: requests pass it forward, responses
/// backward; a reply ends the request's way, and the response then passes only those that the
/// request has reached. Its configuration has one member for each plugin, by its name; a plugin
/// whose member is missing is left out.
pub trait Plugin: Sized + 'static {
    /// The plugin's name in snake case: in metrics, in the log, and in the configuration of a
    /// module of several plugins.
    const NAME: &'static str;

    /// The configuration, valid by construction.
    type Config;

    /// What is remembered of one stream. The default is a stream whose request this plugin has
    /// not seen: another filter may have answered before.
    type Stream: Default;

    /// Reads the configuration. The verdict depends on the text alone, because a configuration
    /// that fails on one worker only cannot be mended.
    fn read(document: Document) -> Result<Self::Config, Errors>;

    /// Reads the configuration as a member of that of a module of several plugins; `None` when
    /// it is not there.
    fn read_member(document: &mut Document) -> Result<Option<Self::Config>, Errors> {
        document.take(Self::NAME).map(Self::read).transpose()
    }

    /// The members that [`read_member`](Self::read_member) looks for.
    fn members() -> Vec<&'static str> {
        vec![Self::NAME]
    }

    /// Makes the plugin. Metrics are defined here.
    fn new(config: Self::Config) -> Self;

    /// What to say of it in the log.
    fn summaries(&self) -> Vec<Summary>;

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

/// How a stream goes on after a callback: as the plugin says, or, if that failed, as it decides then.
pub(crate) fn flow_after<P: Plugin>(
    plugin: &P,
    stream: &mut P::Stream,
    exchange: &mut Exchange,
    result: Result<Flow, Error>,
) -> Flow {
    result.unwrap_or_else(|error| {
        exchange.note(P::NAME, error);
        plugin.on_error(stream, exchange, Failure::Undecided)
    })
}
