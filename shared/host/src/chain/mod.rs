//! Chains: the plugins that a module runs.
//!
//! A [`Plugin`](crate::Plugin) is a chain of one ([`single`]), and a [`Pair`] of chains is a chain. The code that
//! talks to Envoy knows chains only.

mod pair;
mod single;

use std::time::Duration;

use portcullis_core::config::{Document, Errors, Name};
use portcullis_core::policy::References;

pub use pair::{Pair, PairStream};

use crate::call::{CallId, CallResponse};
use crate::error::{Error, Failure};
use crate::exchange::Exchange;
use crate::plugin::Flow;
use crate::worker::Worker;

/// The line that the log gets when a plugin has been configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The plugin's name, [`Policy::NAME`](portcullis_core::policy::Policy::NAME).
    pub plugin: &'static str,
    /// The instance's name.
    pub instance: Name,
    /// The mode and the rules, as an operator needs them at 3 a.m.
    pub description: String,
}

/// One [`Plugin`](crate::Plugin), or several that Envoy enters with one callback.
///
/// A [`Pair`] of chains is a chain, so any number of plugins can form one: `Pair<A, Pair<B, C>>`. It behaves like a
/// chain of filters: requests pass forward, responses backward; a reply stops the request, and the response then
/// passes only the plugins that the request has reached. Its configuration has one member for each plugin, under
/// the plugin's name; a plugin without a member is left out.
pub trait Chain: Sized + 'static {
    /// The name of the module in snake case. It appears in the log, and as the member of a configuration of several
    /// plugins.
    const NAME: &'static str;

    /// The configuration, valid by construction.
    type Config;

    /// See [`Plugin::Stream`](crate::Plugin::Stream).
    type Stream: Default;

    /// Reads the configuration. The result depends on the text alone: nobody could repair a configuration that fails
    /// on only one worker.
    fn read(document: Document) -> Result<Self::Config, Errors>;

    /// Reads the configuration from its member in the configuration of several plugins; `None` if there is no such
    /// member.
    fn read_member(document: &mut Document) -> Result<Option<Self::Config>, Errors> {
        document.take(Self::NAME).map(Self::read).transpose()
    }

    /// A configuration with which the plugins define every kind of metric; see
    /// [`Policy::EXAMPLE`](portcullis_core::policy::Policy::EXAMPLE).
    fn example() -> Result<Self::Config, Errors>;

    /// The members that [`read_member`](Self::read_member) accepts.
    fn members() -> Vec<&'static str> {
        vec![Self::NAME]
    }

    /// The references of a configuration, with paths in the whole document.
    fn references(config: Self::Config) -> References;

    /// The same of a member in the configuration of several plugins.
    fn member_references(config: Self::Config) -> References {
        Self::references(config).within(Self::NAME)
    }

    /// Creates the plugins. They define their metrics here.
    fn new(config: Self::Config) -> Self;

    /// One line for the log for each plugin.
    fn summaries(&self) -> Vec<Summary>;

    /// Whether a configured plugin [depends](crate::Plugin::NEEDS_STREAM_END) on learning how streams end.
    fn needs_stream_end(&self) -> bool;

    /// Whether the chain [sees requests](crate::Plugin::sees_requests).
    fn sees_requests(&self) -> bool {
        true
    }

    /// Whether a configured plugin [sees responses](crate::Plugin::SEES_RESPONSES).
    fn sees_responses(&self) -> bool;

    /// Whether a configured plugin [sees the end](crate::Plugin::sees_end) of streams.
    fn sees_end(&self) -> bool;

    /// See [`Plugin::on_error`](crate::Plugin::on_error).
    fn on_error(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow;

    /// See [`Plugin::on_request`](crate::Plugin::on_request).
    fn on_request(&self, stream: &mut Self::Stream, exchange: &mut Exchange)
    -> Result<Flow, Error>;

    /// See [`Plugin::on_request_end`](crate::Plugin::on_request_end).
    fn on_request_end(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<(), Error>;

    /// See [`Plugin::on_response`](crate::Plugin::on_response).
    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error>;

    /// See [`Plugin::on_trailers`](crate::Plugin::on_trailers).
    fn on_trailers(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error>;

    /// See [`Plugin::on_log`](crate::Plugin::on_log).
    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error>;

    /// See [`Plugin::tick_period`](crate::Plugin::tick_period).
    fn tick_period(&self) -> Option<Duration>;

    /// See [`Plugin::TICK_WHILE_WAITING`](crate::Plugin::TICK_WHILE_WAITING).
    fn tick_while_waiting(&self) -> Duration;

    /// See [`Plugin::on_tick`](crate::Plugin::on_tick).
    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error>;

    /// See [`Plugin::max_call_body`](crate::Plugin::max_call_body).
    fn max_call_body(&self) -> usize;

    /// See [`Plugin::on_call_response`](crate::Plugin::on_call_response).
    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error>;
}

/// The flow after a callback. If the callback failed, [`Chain::on_error`] decides.
pub(crate) fn flow_after<C: Chain>(
    chain: &C,
    stream: &mut C::Stream,
    exchange: &mut Exchange,
    result: Result<Flow, Error>,
) -> Flow {
    result.unwrap_or_else(|error| {
        exchange.note(C::NAME, error);
        chain.on_error(stream, exchange, Failure::Undecided)
    })
}

/// The same for a callback that does not decide the flow.
fn ignore_flow<C: Chain>(
    chain: &C,
    stream: &mut C::Stream,
    exchange: &mut Exchange,
    result: Result<(), Error>,
) {
    flow_after(chain, stream, exchange, result.map(|()| Flow::Continue));
}
