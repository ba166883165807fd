//! One plugin as a chain.

use std::time::Duration;

use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::{Policy, References};

use super::{Chain, Summary, flow_after};
use crate::call::{CallId, CallResponse};
use crate::error::{Callback, Error, Failure};
use crate::exchange::Exchange;
use crate::instance::Instance;
use crate::plugin::{Flow, Plugin};
use crate::property::Property;
use crate::worker::Worker;

impl<P: Plugin> Chain for P {
    const NAME: &'static str = P::Policy::NAME;
    type Config = <P::Policy as Policy>::Config;
    type Stream = P::Stream;

    fn read(document: Document) -> Result<Self::Config, Errors> {
        P::Policy::read(document)
    }

    fn example() -> Result<Self::Config, Errors> {
        Document::parse(P::Policy::EXAMPLE.as_bytes()).and_then(P::Policy::read)
    }

    fn references(config: Self::Config) -> References {
        let instance = P::Policy::instance(&config).clone();
        P::Policy::compile(config).references(&instance)
    }

    fn new(config: Self::Config) -> Self {
        P::new(Instance::new(config))
    }

    fn summaries(&self) -> Vec<Summary> {
        let instance = self.instance();
        vec![Summary {
            plugin: P::Policy::NAME,
            instance: instance.name().clone(),
            description: instance.to_string(),
        }]
    }

    fn needs_stream_end(&self) -> bool {
        P::NEEDS_STREAM_END
    }

    fn sees_requests(&self) -> bool {
        P::sees_requests(self)
    }

    fn sees_responses(&self) -> bool {
        P::SEES_RESPONSES
    }

    fn sees_end(&self) -> bool {
        P::sees_end(self)
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
        if !P::sees_requests(self) {
            return Ok(Flow::Continue);
        }
        if P::NEEDS_STREAM_END
            && let Err(error) = exchange.callbacks().check_stream_end()
        {
            let flow = flow_after(self, stream, exchange, Err(error));
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        let flow = P::on_request(self, stream, exchange)?;
        if flow == Flow::Wait {
            exchange.callbacks().check_waiting()?;
        }
        Ok(flow)
    }

    fn on_request_end(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        let seen = P::on_request_end(self, stream, exchange);
        noting_failure::<P, _>(exchange, seen)
    }

    fn on_response(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        let seen = P::on_response(self, stream, exchange);
        noting_failure::<P, _>(exchange, seen)
    }

    fn on_trailers(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        let seen = P::on_trailers(self, stream, exchange);
        noting_failure::<P, _>(exchange, seen)
    }

    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        let seen = P::on_log(self, stream, exchange);
        let is_missed = P::NEEDS_STREAM_END && exchange.misses_response;
        let seen = seen.and_then(|()| match is_missed && has_response(exchange)? {
            true => Err(Error::NotCalled(Callback::ResponseHeaders)),
            false => Ok(()),
        });
        noting_failure::<P, _>(exchange, seen)
    }

    fn tick_period(&self) -> Option<Duration> {
        P::tick_period(self)
    }

    fn tick_while_waiting(&self) -> Duration {
        P::TICK_WHILE_WAITING
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

/// The same result. If it is an error, the plugin may not know how the stream ended.
fn noting_failure<P: Plugin, T>(
    exchange: &mut Exchange,
    result: Result<T, Error>,
) -> Result<T, Error> {
    if P::NEEDS_STREAM_END
        && let Err(error) = &result
    {
        exchange.end_failure.get_or_insert(*error);
    }
    result
}

/// Whether a stream that has ended had a response from its upstream, and a client that waited for it.
fn has_response(exchange: &Exchange) -> Result<bool, Error> {
    let details = exchange.property(Property::ResponseCodeDetails)?;
    if details.as_deref() != Some(Property::VIA_UPSTREAM) {
        return Ok(false);
    }
    let flags = exchange.number(Property::ResponseFlags)?;
    Ok(flags.unwrap_or_default() & Property::CLIENT_GONE == 0)
}
