//! Two chains as one.

use std::time::Duration;

use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::References;

use super::{Chain, Summary, flow_after, ignore_flow};
use crate::call::{CallId, CallResponse};
use crate::error::{Error, Failure};
use crate::exchange::Exchange;
use crate::plugin::Flow;
use crate::runner::TICK_WHILE_WAITING;
use crate::worker::Worker;

/// Two chains in one module, `A` nearer to the client; see [`Chain`].
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
        document.refuse_empty(&Self::members())?;
        let config = Self::read_member(&mut document);
        let rest = document.finish(&Self::members());
        both(config, rest).map(|(config, ())| config.unwrap_or_default())
    }

    fn read_member(document: &mut Document) -> Result<Option<Self::Config>, Errors> {
        let first = A::read_member(document);
        let second = B::read_member(document);
        both(first, second).map(Some)
    }

    fn example() -> Result<Self::Config, Errors> {
        both(A::example().map(Some), B::example().map(Some))
    }

    fn members() -> Vec<&'static str> {
        let mut members = A::members();
        members.extend(B::members());
        members
    }

    fn references((first, second): Self::Config) -> References {
        let first = first.map(A::member_references).unwrap_or_default();
        first.and(second.map(B::member_references).unwrap_or_default())
    }

    /// The members of a pair within a pair are members of the whole.
    fn member_references(config: Self::Config) -> References {
        Self::references(config)
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

    fn needs_stream_end(&self) -> bool {
        let first = self.first.as_ref().is_some_and(A::needs_stream_end);
        first || self.second.as_ref().is_some_and(B::needs_stream_end)
    }

    fn sees_responses(&self) -> bool {
        let first = self.first.as_ref().is_some_and(A::sees_responses);
        first || self.second.as_ref().is_some_and(B::sees_responses)
    }

    fn sees_end(&self) -> bool {
        let first = self.first.as_ref().is_some_and(A::sees_end);
        first || self.second.as_ref().is_some_and(B::sees_end)
    }

    /// The host carries out the changes of both together, so each plugin that the exchange has reached decides, and
    /// one reply is enough.
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
        // A request that waited for the second has already passed the first.
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
            ignore_flow(first, &mut stream.first, exchange, seen);
        }
        if let Some(second) = &self.second
            && stream.reached_second
        {
            let seen = second.on_request_end(&mut stream.second, exchange);
            ignore_flow(second, &mut stream.second, exchange, seen);
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
            ignore_flow(second, &mut stream.second, exchange, seen);
        }
        if let Some(first) = &self.first {
            let seen = first.on_trailers(&mut stream.first, exchange);
            ignore_flow(first, &mut stream.first, exchange, seen);
        }
        Ok(())
    }

    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        if let Some(first) = &self.first {
            let logged = first.on_log(&mut stream.first, exchange);
            ignore_flow(first, &mut stream.first, exchange, logged);
        }
        if let Some(second) = &self.second {
            let logged = second.on_log(&mut stream.second, exchange);
            ignore_flow(second, &mut stream.second, exchange, logged);
        }
        Ok(())
    }

    fn tick_period(&self) -> Option<Duration> {
        let first = self.first.as_ref().and_then(A::tick_period);
        let second = self.second.as_ref().and_then(B::tick_period);
        first.into_iter().chain(second).min()
    }

    fn tick_while_waiting(&self) -> Duration {
        let first = self.first.as_ref().map(A::tick_while_waiting);
        let second = self.second.as_ref().map(B::tick_while_waiting);
        let shorter = first.into_iter().chain(second).min();
        shorter.unwrap_or(TICK_WHILE_WAITING)
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
