//! One plugin as a chain.

use std::time::Duration;

use portcullis_core::config::{Document, Errors};
use portcullis_core::policy::Policy;

use super::{Chain, Summary};
use crate::error::{Error, Failure};
use crate::exchange::Exchange;
use crate::instance::Instance;
use crate::plugin::{Flow, Plugin};
use crate::worker::{CallId, CallResponse, Worker};

impl<P: Plugin> Chain for P {
    const NAME: &'static str = P::Policy::NAME;
    const NEEDS_STREAM_END: bool = P::NEEDS_STREAM_END;
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
            instance: instance.name().clone(),
            description: instance.to_string(),
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
