//! Calls that requests make.

use std::time::Duration;

use meter_filter::Meter;
use proxy_wasm_native_host::{
    Answer, Filter, GrpcReply, GrpcRequest, Host, HostBuilder, Request, Response,
};

const MILLISECOND: Duration = Duration::from_millis(1);

fn meter(config: &str) -> Filter {
    Filter::from_fn("meter", portcullis_proxy_wasm::start::<Meter>).config(config)
}

fn builder() -> HostBuilder {
    Host::builder()
        .upstream(|_: &Request| Response::new(200))
        .filter(meter("{}"))
}

fn answering(service: impl Fn(&GrpcRequest) -> GrpcReply + Send + Sync + 'static) -> Host {
    builder().grpc_service("meter", service).start().unwrap()
}

/// Answers with the last part of the message, after the milliseconds in the part before it.
fn echo(request: &GrpcRequest) -> GrpcReply {
    let message = String::from_utf8(request.message().to_vec()).unwrap();
    let parts: Vec<&str> = message.split('/').collect();
    let delay = parts.get(2).map_or(0, |delay| delay.parse().unwrap());
    let text = parts.last().copied().unwrap_or_default();
    GrpcReply::ok(text).after(Duration::from_millis(delay))
}

fn read(host: &Host) -> String {
    host.send(Request::get("/read")).response().body_text()
}

fn text(host: &Host, path: &str) -> String {
    let stream = host.open(Request::get(path));
    host.advance(Duration::from_secs(31));
    stream.outcome().response().body_text()
}

#[test]
fn a_request_waits_for_its_own_call_and_no_longer() {
    let host = answering(|request| {
        assert_eq!(
            (request.service(), request.method()),
            ("test.Meter", "Count")
        );
        let metadata = request.metadata();
        assert_eq!(metadata.get("te"), Some("trailers"));
        assert_eq!(metadata.get("grpc-timeout"), Some("30000m"));
        echo(request)
    });
    let mut stream = host.open(Request::get("/wait/7/yes"));
    host.advance(6 * MILLISECOND);
    assert!(!stream.is_over());
    // At the time of the answer, and not with the next tick.
    host.advance(MILLISECOND);
    assert!(stream.is_over());
    assert_eq!(stream.outcome().response().body_text(), "yes 2");
}

#[test]
fn an_answer_wakes_only_the_request_that_has_called() {
    let host = answering(echo);
    let mut streams = [1, 3, 2].map(|n| host.open(Request::get(&format!("/wait/{n}/{n}"))));
    for over in [[true, false, false], [true, false, true], [true; 3]] {
        host.advance(MILLISECOND);
        assert_eq!(streams.each_mut().map(|it| it.is_over()), over);
    }
    // Each was judged once for itself.
    let texts = streams.map(|stream| stream.outcome().response().body_text());
    assert_eq!(texts, ["1 2", "3 2", "2 2"]);
}

#[test]
fn a_call_survives_the_request_that_has_made_it() {
    let host = answering(echo);
    let outcome = host.send(Request::get("/renew/100/later"));
    assert!(outcome.upstream_request().is_some());
    assert_eq!(read(&host), "");
    host.advance(100 * MILLISECOND);
    assert_eq!(read(&host), "later;");
}

#[test]
fn the_answer_counts_even_if_the_client_is_gone() {
    let host = answering(echo);
    let gone = host.open(Request::get("/wait/50/gone"));
    let mut stays = host.open(Request::get("/wait/60/stays"));
    gone.disconnect();
    host.advance(60 * MILLISECOND);
    assert!(stays.is_over());
    assert_eq!(read(&host), "gone;stays;");
}

#[test]
fn others_wait_for_the_answer() {
    let host = answering(echo);
    let mut follower = host.open(Request::get("/follow"));
    assert_eq!(host.send(Request::get("/renew/3/here")).status(), 200);
    host.advance(3 * MILLISECOND);
    assert!(follower.is_over());
    assert_eq!(follower.outcome().response().body_text(), "here;");
}

/// A worker cannot wake another one, so its requests look again with each tick.
#[test]
fn requests_of_other_workers_look_again_with_each_tick() {
    let host = Host::builder()
        .workers(2)
        .upstream(|_: &Request| Response::new(200))
        .filter(meter(r#"{"polls": true}"#))
        .grpc_service("meter", echo)
        .start()
        .unwrap();
    let mut follower = host.worker(1).open(Request::get("/follow"));
    let renewal = host.worker(0).send(Request::get("/renew/12/here"));
    assert_eq!(renewal.status(), 200);
    host.advance(11 * MILLISECOND);
    assert!(!follower.is_over());
    host.advance(Duration::from_secs(1));
    assert!(follower.is_over());
}

/// Each of them is the first that waits, and waits for less than a tick.
#[test]
fn requests_that_wait_one_after_the_other_do_not_postpone_the_tick() {
    let host = answering(|_| GrpcReply::ok("yes").after(5 * MILLISECOND));
    for _ in 0..100 {
        let mut stream = host.open(Request::get("/wait"));
        host.advance(100 * MILLISECOND);
        assert!(stream.is_over());
    }
    let ticks = host.send(Request::get("/ticks"));
    let ticks: usize = ticks.response().body_text().parse().unwrap();
    assert!((9..=12).contains(&ticks), "{ticks}");
}

/// The second call is made in a callback of the root context.
#[test]
fn a_request_that_was_judged_again_calls_again() {
    let host = answering(|request| match request.message() {
        b"/second" => GrpcReply::ok("enough").after(5 * MILLISECOND),
        _ => GrpcReply::ok("again").after(5 * MILLISECOND),
    });
    let mut stream = host.open(Request::get("/wait"));
    host.advance(10 * MILLISECOND);
    assert!(stream.is_over());
    assert_eq!(stream.outcome().response().body_text(), "enough 3");
}

#[test]
fn failures_are_values() {
    let broken = || Answer::reset_after(Response::new(200).body("x"));
    let http = Answer::from;
    for (reply, expected) in [
        (GrpcReply::error(8, "enough"), "gRPC status 8"),
        // Only the trailers say so.
        (GrpcReply::message("x").and_end(13, ""), "gRPC status 13"),
        (Answer::connect_failure().into(), "gRPC status 14"),
        (Answer::reset().into(), "gRPC status 14"),
        (Answer::never().into(), "gRPC status 14"),
        (
            broken().into(),
            "the connection was reset, or the response broke off",
        ),
        (http(Response::new(404)).into(), "HTTP status 404"),
        (
            http(Response::new(200).body("<html>")).into(),
            "not a gRPC response with one whole message",
        ),
        (
            GrpcReply::ok([b'x'; 61]),
            "not a gRPC response with one whole message",
        ),
    ] {
        let host = answering(move |_| GrpcReply::clone(&reply));
        assert_eq!(text(&host, "/wait"), format!("{expected} 2"));
    }
}

#[test]
fn a_call_that_envoy_does_not_send_is_an_error_at_once() {
    let restricted = |capability| {
        let filter = meter("{}").without_capability(capability);
        Host::builder().filter(filter).grpc_service("meter", echo)
    };
    for host in [
        builder(),
        builder().empty_cluster("meter"),
        restricted("proxy_http_call"),
        // Without it, the SDK would panic at the response.
        restricted("proxy_set_effective_context"),
    ] {
        let host = host.start().unwrap();
        for path in ["/renew", "/wait"] {
            let outcome = host.send(Request::get(path));
            assert_eq!(outcome.response().body_text(), "refused");
            host.advance(Duration::from_secs(1));
        }
    }
}

#[test]
fn a_lost_answer_does_not_leave_a_request_waiting() {
    let filter = meter(r#"{"timeout_ms": 0, "patience_ms": 1000}"#);
    let host = Host::builder()
        .filter(filter)
        .grpc_service("meter", |_: &GrpcRequest| GrpcReply::nothing());
    let host = host.start().unwrap();
    let mut stream = host.open(Request::get("/wait"));
    host.advance(990 * MILLISECOND);
    assert!(!stream.is_over());
    host.advance(30 * MILLISECOND);
    assert!(stream.is_over());
    assert_eq!(stream.outcome().response().body_text(), "late");
}
