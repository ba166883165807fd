//! Requests that wait for a call's answer: shown with a tiny plugin that asks whether it may let them
//! pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use portcullis_host::{
    Call, CallId, CallResponse, Error, Exchange, Failure, Flow, Pair, Plugin, Property, Summary,
    Worker,
};
use portcullis_policy::config::{Document, Errors};
use portcullis_policy::reply::Reply;
use proxy_wasm_native_host::{Answer, ClientStream, Filter, Host, Request, Response};
use serde::Deserialize;

/// Lets requests pass once `keeper` has answered 200, and refuses them if it answers otherwise.
struct Gate {
    restless_from: Option<usize>,
    requests: Cell<usize>,
    asked: Cell<Option<CallId>>,
    verdict: RefCell<Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// From how many requests on each tick wakes all of them.
    restless_from: Option<usize>,
}

impl Plugin for Gate {
    const NAME: &'static str = "gate";
    type Config = Config;
    /// How often the request was looked at.
    type Stream = usize;

    fn read(document: Document) -> Result<Config, Errors> {
        document.read()
    }

    fn new(config: Config) -> Self {
        Self {
            restless_from: config.restless_from,
            requests: Cell::new(0),
            asked: Cell::new(None),
            verdict: RefCell::new(None),
        }
    }

    fn summaries(&self) -> Vec<Summary> {
        Vec::new()
    }

    fn on_error(&self, _: &mut usize, _: &mut Exchange, _: Failure) -> Flow {
        Flow::Reply(Reply {
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
        exchange.set_filter_state("gate.looks", looks.to_string().into_bytes());
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
        if self.restless_from.is_some_and(|from| requests >= from) {
            worker.wake();
        }
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

    fn on_error(&self, _: &mut (), _: &mut Exchange, _: Failure) -> Flow {
        Flow::Continue
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
    Filter::from_fn("gate", portcullis_host::start::<Gate>).config("{}")
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
fn a_request_does_not_wait_where_nothing_could_end_that() {
    for capability in [
        "proxy_set_tick_period_milliseconds",
        "proxy_set_effective_context",
    ] {
        let host = host(gate().without_capability(capability), || open_after(100));
        let outcome = host.send(Request::get("/"));
        assert_eq!(outcome.response().body_text(), "refused", "{capability}");
        assert!(outcome.upstream_request().is_none());
    }
}

#[test]
fn a_timer_that_never_runs_is_noticed() {
    let host = host(gate().without_capability("proxy_on_tick"), || {
        open_after(100)
    });
    let mut early = host.open(Request::get("/"));
    host.advance(Duration::from_secs(3));
    assert!(!early.is_over());
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.response().body_text(), "refused");
}

#[test]
fn a_request_that_cannot_go_on_is_answered_and_the_next_do_not_wait() {
    let host = host(gate().without_capability("proxy_continue_stream"), || {
        open_after(100)
    });
    let early = host.open(Request::get("/"));
    host.advance(Duration::from_millis(150));
    let outcome = early.outcome();
    assert_eq!(outcome.response().body_text(), "refused");
    assert!(outcome.upstream_request().is_none());
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
        let pair = Filter::from_fn("pair", init).config(r#"{"gate": {}, "witness": {}}"#);
        let host = host(pair, || open_after(100));
        let stream = host.open(Request::get("/"));
        host.advance(Duration::from_millis(200));
        let outcome = stream.outcome();
        assert_eq!(trace(outcome.upstream_request().unwrap()), expected);
    }
}

/// How many of the streams are over.
fn over(streams: &mut [ClientStream]) -> usize {
    streams
        .iter_mut()
        .filter_map(|it| it.is_over().then_some(()))
        .count()
}

fn millisecond(host: &Host) {
    host.advance(Duration::from_millis(1));
}

#[test]
fn many_requests_are_woken_in_slices_the_oldest_first() {
    let host = host(gate(), || open_after(100));
    let mut streams: Vec<ClientStream> = (0..200).map(|_| host.open(Request::get("/"))).collect();
    let mut slices = Vec::new();
    for _ in 0..200 {
        let before = over(&mut streams);
        millisecond(&host);
        let after = over(&mut streams);
        assert!(streams.iter_mut().take(after).all(ClientStream::is_over));
        if after > before {
            slices.push(after - before);
            // Nobody who comes now has to wait.
            assert_eq!(host.send(Request::get("/new")).status(), 200);
        }
    }
    assert_eq!(slices.iter().sum::<usize>(), 200);
    assert!(slices.len() >= 6, "{slices:?}");
    for stream in streams {
        let outcome = stream.outcome();
        assert_eq!(outcome.status(), 200);
        assert_eq!(outcome.filter_state("gate.looks"), Some(b"2".to_vec()));
    }
}

#[test]
fn a_client_that_leaves_before_its_slice_is_left_out() {
    let host = host(gate(), || open_after(100));
    let mut streams: Vec<ClientStream> = (0..100).map(|_| host.open(Request::get("/"))).collect();
    while over(&mut streams) == 0 {
        millisecond(&host);
    }
    let first = over(&mut streams);
    assert!(first < 100, "{first}");
    for stream in streams.iter().skip(first).step_by(2) {
        stream.disconnect();
    }
    host.advance(Duration::from_millis(50));
    for (n, stream) in streams.into_iter().enumerate() {
        let left = n >= first && (n - first).is_multiple_of(2);
        assert_eq!(stream.outcome().upstream_request().is_none(), left, "{n}");
    }
}

/// More requests than a slice has, which are woken all the time, and have to wait each time.
#[test]
fn none_is_looked_at_twice_before_another() {
    let gate = gate().config(r#"{"restless_from": 100}"#);
    let host = host(gate, || open_after(500));
    let streams: Vec<ClientStream> = (0..100).map(|_| host.open(Request::get("/"))).collect();
    host.advance(Duration::from_secs(1));
    let looks: Vec<u32> = streams
        .into_iter()
        .map(|stream| {
            let looks = stream.outcome().filter_state("gate.looks").unwrap();
            String::from_utf8(looks).unwrap().parse().unwrap()
        })
        .collect();
    let (least, most) = (looks.iter().min().unwrap(), looks.iter().max().unwrap());
    assert!(*least > 3 && most - least <= 1, "from {least} to {most}");
}
