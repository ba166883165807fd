//! Two tiny plugins: one whose requests wait for a call, and one that shows what a later plugin sees.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use portcullis_core::config::Name;
use portcullis_core::reply::Reply;
use portcullis_host::{
    Call, CallId, CallResponse, Error, Exchange, Failure, Flow, Instance, Plugin, Property, Worker,
};
use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response};
use serde::Deserialize;

use crate::tiny::{Tiny, TinyConfig};

/// Calls the cluster `keeper`, and lets requests pass if the response is `200` and `open`. Otherwise it refuses them.
pub(crate) struct Gate {
    instance: Instance<Tiny<Config>>,
    wake_each_tick_from: Option<usize>,
    requests: Cell<usize>,
    call: Cell<Option<CallId>>,
    answer: RefCell<Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    name: Name,
    /// After this many requests, each tick wakes all of them.
    wake_each_tick_from: Option<usize>,
}

impl TinyConfig for Config {
    const PLUGIN: &'static str = "gate";

    fn name(&self) -> &Name {
        &self.name
    }
}

impl Plugin for Gate {
    type Policy = Tiny<Config>;
    /// How often `on_request` has seen the request.
    type Stream = usize;

    fn new(instance: Instance<Self::Policy>) -> Self {
        Self {
            wake_each_tick_from: instance.0.wake_each_tick_from,
            instance,
            requests: Cell::new(0),
            call: Cell::new(None),
            answer: RefCell::new(None),
        }
    }

    fn instance(&self) -> &Instance<Self::Policy> {
        &self.instance
    }

    fn on_error(&self, _: &mut usize, _: &mut Exchange, _: Failure) -> Flow {
        Flow::reply(Reply {
            status: 503,
            grpc_status: None,
            details: "refused".into(),
            headers: Vec::new(),
            body: "refused".into(),
        })
    }

    fn on_request(&self, looks: &mut usize, exchange: &mut Exchange) -> Result<Flow, Error> {
        *looks += 1;
        if *looks == 1 {
            self.requests.set(self.requests.get() + 1);
        }
        let Some(answer) = &*self.answer.borrow() else {
            exchange
                .request()?
                .append("x-trace".into(), "waited".into());
            return Ok(Flow::Wait);
        };
        if answer != "200 open" {
            return Ok(Flow::reply(Reply {
                status: 503,
                grpc_status: None,
                details: "closed".into(),
                headers: Vec::new(),
                body: answer.clone().into(),
            }));
        }
        exchange.set_filter_state("gate.looks", looks.to_string().into());
        exchange
            .request()?
            .append("x-trace".into(), "opened".into());
        Ok(Flow::Continue)
    }

    fn on_response(&self, _: &mut usize, _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    fn tick_period(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn on_tick(&self, worker: &mut Worker) -> Result<(), Error> {
        let requests = self.requests.get();
        if self
            .wake_each_tick_from
            .is_some_and(|from| requests >= from)
        {
            worker.wake();
        }
        if self.call.get().is_none() {
            let call = worker.call(&Call {
                cluster: "keeper",
                headers: &[
                    (":method", "GET"),
                    (":scheme", "http"),
                    (":authority", "keeper.example"),
                    (":path", "/gate"),
                ],
                body: &[],
                timeout: Duration::from_secs(2),
                memo: None,
            })?;
            self.call.set(Some(call));
        }
        Ok(())
    }

    fn max_call_body(&self) -> usize {
        4
    }

    fn on_call_response(
        &self,
        worker: &mut Worker,
        call: CallId,
        response: &CallResponse,
    ) -> Result<(), Error> {
        assert_eq!(self.call.get(), Some(call));
        let body = String::from_utf8_lossy(&response.body);
        *self.answer.borrow_mut() = Some(match response.status() {
            Some(status) => format!("{status} {body}"),
            None => "cut off".to_owned(),
        });
        worker.wake();
        Ok(())
    }
}

/// Copies the filter state that it sees to a header.
pub(crate) struct Witness {
    instance: Instance<Tiny<WitnessConfig>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessConfig {
    #[serde(default)]
    name: Name,
}

impl TinyConfig for WitnessConfig {
    const PLUGIN: &'static str = "witness";

    fn name(&self) -> &Name {
        &self.name
    }
}

impl Plugin for Witness {
    type Policy = Tiny<WitnessConfig>;
    type Stream = ();

    fn new(instance: Instance<Self::Policy>) -> Self {
        Self { instance }
    }

    fn instance(&self) -> &Instance<Self::Policy> {
        &self.instance
    }

    fn on_error(&self, _: &mut (), _: &mut Exchange, _: Failure) -> Flow {
        Flow::Continue
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange) -> Result<Flow, Error> {
        let looks = exchange.property(Property::FilterState("gate.looks"))?;
        let headers = exchange.request()?;
        headers.append("x-trace".into(), "witnessed".into());
        headers.append("x-looks".into(), looks.unwrap_or_default().to_vec().into());
        Ok(Flow::Continue)
    }

    fn on_response(&self, (): &mut (), _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

pub(crate) fn host(filter: Filter, keeper: impl Fn() -> Answer + Send + Sync + 'static) -> Host {
    Host::builder()
        .upstream(|_: &Request| Response::new(200))
        .cluster("keeper", move |_: &Request| keeper())
        .filter(filter)
        .start()
        .unwrap()
}

pub(crate) fn gate() -> Filter {
    Filter::from_fn("gate", portcullis_proxy_wasm::start::<Gate>).config("{}")
}

pub(crate) fn open_after(milliseconds: u64) -> Answer {
    Answer::from(Response::new(200).body("open")).after(Duration::from_millis(milliseconds))
}

pub(crate) fn trace(request: &Request) -> Vec<String> {
    let lines = request.headers().iter();
    lines
        .filter(|(name, _)| *name == "x-trace")
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}
