//! Plugins in a row, in one module.

use std::time::Duration;

use portcullis_core::config::{Document, Errors, Name};
use portcullis_core::policy::Policy;

use crate::exchange::{Error, Exchange, Failure};
use crate::instance::Instance;
use crate::plugin::{Flow, Plugin};
use crate::worker::{CallId, CallResponse, Worker};

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

/// What a module runs: one [`Plugin`], or several that Envoy enters at once.
///
/// A [`Pair`] of chains is a chain, so any number of plugins can form one: `Pair<A, Pair<B, C>>`. It behaves like a
/// chain of filters: requests pass it forward, responses backward; a reply ends the request's way, and the response
/// then passes only those that the request has reached. Its configuration has one member for each plugin, by its
/// name; a plugin whose member is missing is left out.
pub trait Chain: Sized + 'static {
    /// The name of the module in snake case: in the log, and in the configuration of a module of several
    /// plugins.
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

    /// See [`Plugin::NEEDS_ENDS`].
    const NEEDS_ENDS: bool;

    /// See [`Plugin::on_error`].
    fn on_error(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow;

    /// See [`Plugin::on_request`].
    fn on_request(&self, stream: &mut Self::Stream, exchange: &mut Exchange)
    -> Result<Flow, Error>;

    /// See [`Plugin::on_request_end`].
    fn on_request_end(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<(), Error>;

    /// See [`Plugin::on_response`].
    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error>;

    /// See [`Plugin::on_trailers`].
    fn on_trailers(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error>;

    /// See [`Plugin::on_log`].
    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error>;

    /// See [`Plugin::tick_period`].
    fn tick_period(&self) -> Option<Duration>;

    /// See [`Plugin::on_tick`].
    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error>;

    /// See [`Plugin::max_call_body`].
    fn max_call_body(&self) -> usize;

    /// See [`Plugin::on_call_response`].
    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error>;
}

/// One plugin is a chain.
impl<P: Plugin> Chain for P {
    const NAME: &'static str = P::Policy::NAME;
    const NEEDS_ENDS: bool = P::NEEDS_ENDS;
    type Config = <P::Policy as Policy>::Config;
    type Stream = P::Stream;

    fn read(document: Document) -> Result<Self::Config, Errors> {
        P::Policy::read(document)
    }

    fn new(config: Self::Config) -> Self {
        P::new(Instance::new(config))
    }

    fn summaries(&self) -> Vec<Summary> {
        let instance = self.instance();
        vec![Summary {
            plugin: P::Policy::NAME,
            policy: instance.name().clone(),
            what: instance.to_string(),
        }]
    }

    fn on_error(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow {
        P::on_error(self, stream, exchange, failure)
    }

    fn on_request(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        P::on_request(self, stream, exchange)
    }

    fn on_request_end(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        P::on_request_end(self, stream, exchange)
    }

    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        P::on_response(self, stream, exchange)
    }

    fn on_trailers(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        P::on_trailers(self, stream, exchange)
    }

    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        P::on_log(self, stream, exchange)
    }

    fn tick_period(&self) -> Option<Duration> {
        P::tick_period(self)
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        P::on_tick(self, worker)
    }

    fn max_call_body(&self) -> usize {
        P::max_call_body(self)
    }

    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error> {
        P::on_call_response(self, worker, call, response)
    }
}

/// Two plugins in one module, `A` nearer to the client; see [`Chain`].
#[derive(Debug)]
pub struct Pair<A, B> {
    first: Option<A>,
    second: Option<B>,
}

/// The state of one stream in a [`Pair`].
#[derive(Debug, Default)]
pub struct PairStream<A, B> {
    first: A,
    second: B,
    reached_second: bool,
}

impl<A: Chain, B: Chain> Chain for Pair<A, B> {
    const NAME: &'static str = "portcullis";
    type Config = (Option<A::Config>, Option<B::Config>);
    type Stream = PairStream<A::Stream, B::Stream>;

    fn read(mut document: Document) -> Result<Self::Config, Errors> {
        let config = Self::read_member(&mut document);
        let rest = document.finish(&Self::members());
        both(config, rest).map(|(config, ())| config.unwrap_or_default())
    }

    fn read_member(document: &mut Document) -> Result<Option<Self::Config>, Errors> {
        let first = A::read_member(document);
        let second = B::read_member(document);
        both(first, second).map(Some)
    }

    fn members() -> Vec<&'static str> {
        let mut members = A::members();
        members.extend(B::members());
        members
    }

    fn new((first, second): Self::Config) -> Self {
        Self {
            first: first.map(A::new),
            second: second.map(B::new),
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        let mut summaries = self.first.as_ref().map(A::summaries).unwrap_or_default();
        summaries.extend(self.second.as_ref().map(B::summaries).unwrap_or_default());
        summaries
    }

    const NEEDS_ENDS: bool = A::NEEDS_ENDS || B::NEEDS_ENDS;

    /// Their changes are carried out together, so each plugin that the exchange has reached is asked, and
    /// one that replies is enough.
    fn on_error(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
        failure: Failure,
    ) -> Flow {
        let first = self.first.as_ref();
        let first = first.map(|first| first.on_error(&mut stream.first, exchange, failure));
        let second = self.second.as_ref().filter(|_| stream.reached_second);
        let second = second.map(|second| second.on_error(&mut stream.second, exchange, failure));
        let mut flows = first.into_iter().chain(second);
        flows
            .find(|flow| *flow != Flow::Continue)
            .unwrap_or_default()
    }

    fn on_request(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        // A request that waited in the second has passed the first.
        if let Some(first) = &self.first
            && !stream.reached_second
        {
            let flow = first.on_request(&mut stream.first, exchange);
            let flow = flow_after(first, &mut stream.first, exchange, flow);
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        stream.reached_second = true;
        match &self.second {
            Some(second) => {
                let flow = second.on_request(&mut stream.second, exchange);
                Ok(flow_after(second, &mut stream.second, exchange, flow))
            }
            None => Ok(Flow::Continue),
        }
    }

    fn on_request_end(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        if let Some(first) = &self.first {
            let seen = first.on_request_end(&mut stream.first, exchange);
            flow_after(
                first,
                &mut stream.first,
                exchange,
                seen.map(|()| Flow::Continue),
            );
        }
        if let Some(second) = &self.second
            && stream.reached_second
        {
            let seen = second.on_request_end(&mut stream.second, exchange);
            flow_after(
                second,
                &mut stream.second,
                exchange,
                seen.map(|()| Flow::Continue),
            );
        }
        Ok(())
    }

    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        if let Some(second) = &self.second
            && stream.reached_second
        {
            let flow = second.on_response(&mut stream.second, exchange);
            let flow = flow_after(second, &mut stream.second, exchange, flow);
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        match &self.first {
            Some(first) => {
                let flow = first.on_response(&mut stream.first, exchange);
                Ok(flow_after(first, &mut stream.first, exchange, flow))
            }
            None => Ok(Flow::Continue),
        }
    }

    fn on_trailers(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        if let Some(second) = &self.second
            && stream.reached_second
        {
            let seen = second.on_trailers(&mut stream.second, exchange);
            flow_after(
                second,
                &mut stream.second,
                exchange,
                seen.map(|()| Flow::Continue),
            );
        }
        if let Some(first) = &self.first {
            let seen = first.on_trailers(&mut stream.first, exchange);
            flow_after(
                first,
                &mut stream.first,
                exchange,
                seen.map(|()| Flow::Continue),
            );
        }
        Ok(())
    }

    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        if let Some(first) = &self.first {
            let logged = first.on_log(&mut stream.first, exchange);
            flow_after(
                first,
                &mut stream.first,
                exchange,
                logged.map(|()| Flow::Continue),
            );
        }
        if let Some(second) = &self.second {
            let logged = second.on_log(&mut stream.second, exchange);
            flow_after(
                second,
                &mut stream.second,
                exchange,
                logged.map(|()| Flow::Continue),
            );
        }
        Ok(())
    }

    fn tick_period(&self) -> Option<Duration> {
        let first = self.first.as_ref().and_then(A::tick_period);
        let second = self.second.as_ref().and_then(B::tick_period);
        first.into_iter().chain(second).min()
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        if let Some(first) = &self.first {
            let ticked = first.on_tick(worker);
            worker.unwrap_or_warn(A::NAME, ticked);
        }
        if let Some(second) = &self.second {
            let ticked = second.on_tick(worker);
            worker.unwrap_or_warn(B::NAME, ticked);
        }
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        let first = self.first.as_ref().map_or(0, A::max_call_body);
        let second = self.second.as_ref().map_or(0, B::max_call_body);
        first.max(second)
    }

    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error> {
        if let Some(first) = &self.first {
            let handled = first.on_call_response(worker, call, response);
            worker.unwrap_or_warn(A::NAME, handled);
        }
        if let Some(second) = &self.second {
            let handled = second.on_call_response(worker, call, response);
            worker.unwrap_or_warn(B::NAME, handled);
        }
        Ok(())
    }
}

/// Both values, or the errors of both.
fn both<T, U>(first: Result<T, Errors>, second: Result<U, Errors>) -> Result<(T, U), Errors> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => Err(errors),
        (Err(errors), Err(more)) => Err(errors.and(more)),
    }
}

/// How a stream goes on after a callback: as the plugin says, or, if that failed, as it decides then.
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
