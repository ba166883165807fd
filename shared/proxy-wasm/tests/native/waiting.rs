//! Requests that wait for the response to a call.

use std::time::Duration;

use portcullis_host::Pair;
use proxy_wasm_native_host::{Answer, Filter, Request, Response};

use crate::gate::{Gate, Witness, gate, host, open_after, trace};

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
        // The changes made while it waited are carried out, too.
        let request = outcome.upstream_request().unwrap();
        assert_eq!(trace(request), ["waited", "opened"]);
        assert_eq!(outcome.filter_state("gate.looks"), Some(b"2".to_vec()));
    }
    // Later requests do not wait.
    assert_eq!(host.send(Request::get("/")).status(), 200);
}

#[test]
fn a_request_does_not_wait_if_nothing_could_wake_it() {
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
            // One byte more than the plugin's limit.
            "200 close",
        ),
        (
            Answer::connect_failure(),
            // Envoy answers in place of the keeper, with a longer text.
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
fn a_client_that_disconnects_leaves_the_queue() {
    let host = host(gate(), || open_after(100));
    let gone = host.open(Request::get("/gone"));
    let stays = host.open(Request::get("/stays"));
    gone.disconnect();
    host.advance(Duration::from_millis(200));
    assert_eq!(stays.outcome().status(), 200);
    assert!(gone.outcome().upstream_request().is_none());
}

#[test]
fn in_a_pair_only_the_plugin_that_waited_judges_again() {
    for (init, expected) in [
        (
            portcullis_proxy_wasm::start::<Pair<Gate, Witness>> as fn(),
            ["waited", "opened", "witnessed"],
        ),
        (
            portcullis_proxy_wasm::start::<Pair<Witness, Gate>>,
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
