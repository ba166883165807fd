//! Chains, phases and warnings, with two tiny plugins.

use std::time::Duration;

use portcullis_core::config::Name;
use portcullis_core::reply::Reply;
use portcullis_host::{Counter, Error, Exchange, Failure, Flow, Instance, Pair, Phase, Plugin};
use proxy_wasm_native_host::{Filter, Host, LogLevel, Request, Response};
use serde::Deserialize;

use crate::tiny::{Tiny, TinyConfig};

/// Appends its digit to `x-trace` in both directions, and answers requests to its own path. The second depends on
/// learning how streams end.
struct Tracer<const FIRST: bool> {
    instance: Instance<Tiny<Config<FIRST>>>,
    seen: Counter,
    errors: Counter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config<const FIRST: bool> {
    name: Name,
}

impl<const FIRST: bool> TinyConfig for Config<FIRST> {
    const PLUGIN: &'static str = if FIRST { "first" } else { "second" };

    fn name(&self) -> &Name {
        &self.name
    }
}

#[derive(Default)]
struct Stream {
    saw_request: bool,
}

type First = Tracer<true>;
type Second = Tracer<false>;

impl<const FIRST: bool> Tracer<FIRST> {
    fn trace(&self, headers: &mut portcullis_core::headers::HeaderMap) {
        let mut trace = headers
            .get("x-trace")
            .map(|value| value.to_vec())
            .unwrap_or_default();
        trace.extend_from_slice(if FIRST { b"1" } else { b"2" });
        headers.set("x-trace".into(), trace.into());
    }
}

impl<const FIRST: bool> Plugin for Tracer<FIRST> {
    type Policy = Tiny<Config<FIRST>>;
    type Stream = Stream;

    fn new(instance: Instance<Self::Policy>) -> Self {
        Self {
            seen: instance.metrics().counter("logged"),
            errors: instance.metrics().counter("errors"),
            instance,
        }
    }

    fn instance(&self) -> &Instance<Self::Policy> {
        &self.instance
    }

    const NEEDS_STREAM_END: bool = !FIRST;

    fn on_error(&self, _: &mut Stream, _: &mut Exchange, _: Failure) -> Flow {
        self.errors.increment();
        Flow::Continue
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        stream.saw_request = true;
        let path = exchange
            .request()?
            .get(":path")
            .cloned()
            .unwrap_or_default();
        if path == format!("/{}", Config::<FIRST>::PLUGIN) {
            return Ok(Flow::reply(Reply {
                status: 418,
                grpc_status: None,
                details: "tiny".into(),
                headers: vec![("x-by".into(), Config::<FIRST>::PLUGIN.into())],
                body: "short and stout".into(),
            }));
        }
        if path == "/too-late" {
            // A mistake of a plugin: the response cannot be read yet.
            assert_eq!(
                exchange.response().err(),
                Some(Error::NotIn(Phase::Request))
            );
            exchange.response()?;
        }
        self.trace(exchange.request()?);
        Ok(Flow::Continue)
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange) -> Result<Flow, Error> {
        assert!(stream.saw_request);
        self.trace(exchange.response()?);
        Ok(Flow::Continue)
    }

    fn on_log(&self, _stream: &mut Stream, _exchange: &mut Exchange) -> Result<(), Error> {
        self.seen.increment();
        Ok(())
    }
}

const BOTH: &str = r#"{"first": {"name": "a"}, "second": {"name": "b"}}"#;

fn module(config: &str) -> Filter {
    Filter::from_fn("both", portcullis_proxy_wasm::start::<Pair<First, Second>>).config(config)
}

fn host(config: &str) -> Host {
    Host::builder()
        .upstream(|_: &Request| Response::new(200))
        .filter(module(config))
        .start()
        .unwrap()
}

#[test]
fn a_pair_passes_requests_forward_and_responses_backward() {
    let outcome = host(BOTH).send(Request::get("/"));
    assert_eq!(
        outcome.upstream_request().unwrap().header_value("x-trace"),
        Some("12")
    );
    assert_eq!(outcome.response().header_value("x-trace"), Some("21"));
}

#[test]
fn a_reply_passes_only_those_that_the_request_has_reached() {
    let host = host(BOTH);

    let by_first = host.send(Request::get("/first"));
    assert_eq!(by_first.status(), 418);
    assert_eq!(by_first.response().body_text(), "short and stout");
    assert_eq!(by_first.response().header_value("x-by"), Some("first"));
    assert_eq!(by_first.response().header_value("x-trace"), Some("1"));
    assert!(by_first.upstream_request().is_none());

    let by_second = host.send(Request::get("/second"));
    assert_eq!(by_second.response().header_value("x-by"), Some("second"));
    assert_eq!(by_second.response().header_value("x-trace"), Some("21"));

    // Both see the end of a stream, even if the request did not reach both.
    assert_eq!(host.counter("portcullis.first.policy=.=a;.;logged"), 2);
    assert_eq!(host.counter("portcullis.second.policy=.=b;.;logged"), 2);
}

#[test]
fn a_plugin_without_configuration_is_left_out() {
    let outcome = host(r#"{"second": {"name": "b"}}"#).send(Request::get("/first"));
    assert_eq!(outcome.status(), 200);
    assert_eq!(outcome.response().header_value("x-trace"), Some("2"));
}

#[test]
fn a_pair_of_pairs_is_a_chain_of_its_plugins() {
    let host = Host::builder()
        .filter(
            Filter::from_fn(
                "nested",
                portcullis_proxy_wasm::start::<Pair<Second, Pair<First, First>>>,
            )
            .config(BOTH),
        )
        .start()
        .unwrap();
    let outcome = host.send(Request::get("/"));
    // The first plugin of that name took the configuration of `first`.
    assert_eq!(
        outcome.upstream_request().unwrap().header_value("x-trace"),
        Some("21")
    );
}

#[test]
fn a_refused_configuration_lists_the_errors_of_all_plugins() {
    let error = Host::builder()
        .filter(module(
            r#"{"first": {"name": ""}, "second": {"nome": "b"}, "third": {}}"#,
        ))
        .start()
        .unwrap_err();
    let message = error.to_string();
    for line in [
        "$.first.name: found \"\"; expected a name: 1 to 64 of A-Z a-z 0-9 _ - . /",
        "$.second.nome: unknown field; allowed: name",
        "$.second: required field \"name\" is missing",
        "$.third: unknown field; allowed: first, second",
    ] {
        assert!(message.contains(line), "{line:?} is missing in\n{message}");
    }
}

#[test]
fn a_missed_end_is_an_error_of_the_plugin_that_depends_on_it() {
    let host = |config| {
        Host::builder()
            .filter(module(config).without_capability("proxy_on_log"))
            .start()
            .unwrap()
    };
    let both = host(BOTH);
    both.send(Request::get("/"));
    both.send(Request::get("/"));
    assert_eq!(both.counter("portcullis.first.policy=.=a;.;errors"), 0);
    assert_eq!(both.counter("portcullis.second.policy=.=b;.;errors"), 1);

    let without_it = host(r#"{"first": {"name": "a"}}"#);
    without_it.send(Request::get("/"));
    without_it.send(Request::get("/"));
    assert_eq!(
        without_it.counter("portcullis.first.policy=.=a;.;errors"),
        0
    );
    // It learns of the end all the same, with the end of the context.
    assert_eq!(
        without_it.counter("portcullis.first.policy=.=a;.;logged"),
        2
    );
}

#[test]
fn a_configuration_without_any_plugin_is_refused() {
    for empty in ["", "{}"] {
        let error = Host::builder().filter(module(empty)).start().unwrap_err();
        let expected = "$: no member; expected at least one of first, second";
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_call_in_the_wrong_phase_is_an_error_and_the_stream_goes_on() {
    let host = host(BOTH);
    let outcome = host.send(Request::get("/too-late"));
    assert_eq!(outcome.status(), 200);
    // Neither plugin could trace the request; both traced the response.
    assert_eq!(
        outcome.upstream_request().unwrap().header_value("x-trace"),
        None
    );
    assert_eq!(outcome.response().header_value("x-trace"), Some("21"));
}

#[test]
fn warnings_on_the_request_path_come_at_most_every_ten_seconds() {
    let host = host(BOTH);
    let warnings = || {
        let lines = host.logs().into_iter();
        lines.filter(|line| line.level == LogLevel::Warn).count()
    };
    for _ in 0..1000 {
        host.send(Request::get("/too-late"));
    }
    assert_eq!(warnings(), 1);
    host.advance(Duration::from_secs(10));
    host.send(Request::get("/too-late"));
    assert_eq!(warnings(), 2);
    let last = host.logs().pop().unwrap();
    assert!(last.message.contains("1999 more"), "{}", last.message);
}

#[test]
fn a_new_configuration_does_not_change_a_stream_in_progress() {
    let host = host(BOTH);
    let worker = host.worker(0);
    let in_progress = worker.open_unfinished(Request::post("/"));
    host.update(vec![module(r#"{"first": {"name": "a"}}"#)])
        .unwrap();

    in_progress.end();
    let outcome = in_progress.outcome();
    assert_eq!(outcome.response().header_value("x-trace"), Some("21"));
    let next = host.send(Request::get("/"));
    assert_eq!(next.response().header_value("x-trace"), Some("1"));
}
