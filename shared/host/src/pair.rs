//! Two plugins as one.

use portcullis_policy::config::{Document, Errors};

use crate::exchange::{Error, Exchange};
use crate::plugin::{Flow, Plugin, Summary};

/// Two plugins in one module, `A` nearer to the client; see [`Plugin`].
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

impl<A: Plugin, B: Plugin> Plugin for Pair<A, B> {
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

    fn on_request(
        &self,
        stream: &mut Self::Stream,
        exchange: &mut Exchange,
    ) -> Result<Flow, Error> {
        if let Some(first) = &self.first {
            let flow = first.on_request(&mut stream.first, exchange);
            let flow = exchange.settle(A::NAME, flow);
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        stream.reached_second = true;
        match &self.second {
            Some(second) => {
                let flow = second.on_request(&mut stream.second, exchange);
                Ok(exchange.settle(B::NAME, flow))
            }
            None => Ok(Flow::Continue),
        }
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
            let flow = exchange.settle(B::NAME, flow);
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        match &self.first {
            Some(first) => {
                let flow = first.on_response(&mut stream.first, exchange);
                Ok(exchange.settle(A::NAME, flow))
            }
            None => Ok(Flow::Continue),
        }
    }

    fn on_log(&self, stream: &mut Self::Stream, exchange: &mut Exchange) -> Result<(), Error> {
        if let Some(first) = &self.first {
            let logged = first.on_log(&mut stream.first, exchange);
            exchange.settle(A::NAME, logged);
        }
        if let Some(second) = &self.second {
            let logged = second.on_log(&mut stream.second, exchange);
            exchange.settle(B::NAME, logged);
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
