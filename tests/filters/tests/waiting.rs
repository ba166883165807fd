//! Requests that wait for a call's answer: shown with a tiny plugin that asks whether it may let them
//! pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use portcullis_host::{
    Call, CallId, CallResponse, Error, Exchange, Flow, Pair, Plugin, Property, Summary, Worker,
};
use portcullis_policy::config::{Document, Errors};
use portcullis_policy::reply::Reply;
use proxy_wasm_native_host::{Answer, Filter, Host, Request, Response};
use serde::Deserialize;

/// Lets requests pass once `keeper` has answered 200, and refuses them if it answers otherwise.
struct Gate {
    asked: Cell<Option<CallId>>,
    verdict: RefCell<Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

impl Plugin for Gate {
    const NAME: &'static str = "gate";
    type Config = Config;
    /// How often the request was looked at.
    type Stream = usize;

    fn read(document: Document) -> Result<Config, Errors> {
        document.read()
    }

    fn new(_: Config) -> Self {
        Self {
            asked: Cell::new(None),
            verdict: RefCell::new(None),
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }

    fn on_request(&self, looks: &mut usize, exchange: &mut Exchange) -> Result<Flow, Error> {
        *looks += 1;
        let Some(verdict) = &*self.verdict.borrow() else {
            exchange
                .request()?
                .append("x-trace".into(), "waited".into());
            return Ok(Flow::Wait);
        };
        if verdict != "200 open" {
            return Ok(Flow::Reply(Reply {
                status: 503,
                grpc_status: None,
                details: "closed".into(),
                headers: Vec::new(),
                body: verdict.clone().into(),
            }));
        }
        exchange.set_filter_state("gate.looks", looks.to_string().as_bytes())?;
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
        if self.asked.get().is_none() {
            let call = worker.call(&Call {
                cluster: "keeper",
                headers: &[
                    (":method", "GET"),
                    (":scheme", "http"),
                    (":authority", "keeper.example"),
                    (":path", "/gate"),
                ],
                timeout: Duration::from_secs(2),
            })?;
            self.asked.set(Some(call));
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
        assert_eq!(self.asked.get(), Some(call));
        let body = String::from_utf8_lossy(&response.body);
        *self.verdict.borrow_mut() = Some(match response.status() {
            Some(status) => format!("{status} {body}"),
            None => "broken off".to_owned(),
        });
        worker.wake();
        Ok(())
    }
}

/// Tells later filters' view: which values the filter state has.
struct Witness;

impl Plugin for Witness {
    const NAME: &'static str = "witness";
    type Config = Config;
    type Stream = ();

    fn read(document: Document) -> Result<Config, Errors> {
        document.read()
    }

    fn new(_: Config) -> Self {
        Self
    }

    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }

    fn on_request(&self, (): &mut (), exchange: &mut Exchange) -> Result<Flow, Error> {
        let looks = exchange.property(Property::filter_state("gate.looks"))?;
        let headers = exchange.request()?;
        headers.append("x-trace".into(), "witnessed".into());
        headers.append("x-looks".into(), looks.unwrap_or_default().into());
        Ok(Flow::Continue)
    }

    fn on_response(&self, (): &mut (), _: &mut Exchange) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

fn host(filter: Filter, keeper: impl Fn() -> Answer + Send + Sync + 'static) -> Host {
    Host::builder()
        .upstream(|_: &Request| Response::new(200))
        .cluster("keeper", move |_: &Request| keeper())
        .filter(filter)
        .start()
        .unwrap()
}

fn gate() -> Filter {
    Filter::new("gate", portcullis_host::start::<Gate>).config("{}")
}

fn open_after(milliseconds: u64) -> Answer {
    Answer::from(Response::new(200).body("open")).after(Duration::from_millis(milliseconds))
}

fn trace(request: &proxy_wasm_native_host::Request) -> Vec<String> {
    let lines = request.headers().iter();
    lines
        .filter(|(name, _)| *name == "x-trace")
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

#[test]
fn requests_wait_until_they_are_woken() {
    let host = host(gate(), || open_after(100));
    let mut one = host.open(Request::get("/one"));
    let mut two = host.open(Request::get("/two"));
    host.advance(Duration::from_millis(90));
    assert!(!one.is_over() && !two.is_over());

    host.advance(Duration::from_millis(50));
    for stream in [one, two] {
        let outcome = stream.outcome();
        assert_eq!(outcome.status(), 200);
        // Changes made while it waited are carried out, too.
        let request = outcome.upstream_request().unwrap();
        assert_eq!(trace(request), ["waited", "opened"]);
        assert_eq!(outcome.filter_state("gate.looks"), Some(b"2".to_vec()));
    }
    // Whoever comes later does not wait.
    assert_eq!(host.send(Request::get("/")).status(), 200);
}

#[test]
fn requests_that_waited_can_be_refused() {
    for (keeper, body) in [
        (Answer::from(Response::new(404)), "404 "),
        (
            Answer::from(Response::new(200).body("closed for good")),
            // One byte more than the plugin takes.
            "200 close",
        ),
        (
            Answer::connect_failure(),
            // Envoy answers in place of the keeper, at some length.
            "503 upstr",
        ),
    ] {
        let host = host(gate(), move || keeper.clone());
        let stream = host.open(Request::get("/"));
        host.advance(Duration::from_millis(50));
        let outcome = stream.outcome();
        assert_eq!(outcome.status(), 503);
        assert_eq!(outcome.response().body_text(), body);
        assert!(outcome.upstream_request().is_none());
    }
}

#[test]
fn a_client_that_went_away_is_not_waited_for() {
    let host = host(gate(), || open_after(100));
    let gone = host.open(Request::get("/gone"));
    let stays = host.open(Request::get("/stays"));
    gone.disconnect();
    host.advance(Duration::from_millis(200));
    assert_eq!(stays.outcome().status(), 200);
    assert!(gone.outcome().upstream_request().is_none());
}

#[test]
fn in_a_pair_only_the_one_that_waited_looks_again() {
    for (init, expected) in [
        (
            portcullis_host::start::<Pair<Gate, Witness>> as fn(),
            ["waited", "opened", "witnessed"],
        ),
        (
            portcullis_host::start::<Pair<Witness, Gate>>,
            ["witnessed", "waited", "opened"],
        ),
    ] {
        let pair = Filter::new("pair", init).config(r#"{"gate": {}, "witness": {}}"#);
        let host = host(pair, || open_after(100));
        let stream = host.open(Request::get("/"));
        host.advance(Duration::from_millis(200));
        let outcome = stream.outcome();
        assert_eq!(trace(outcome.upstream_request().unwrap()), expected);
    }
}
