//! gRPC calls and streams of filters, against services that the test scripts.

use std::time::Duration;

use proxy_wasm_native_host::{
    Answer, GrpcReply, GrpcRequest, GrpcStage, Host, HostBuilder, Request, Response,
};

use crate::common::{said, scripted};

const MILLISECOND: Duration = Duration::from_millis(1);

fn host(script: &str) -> HostBuilder {
    Host::builder().filter(scripted("a", script))
}

/// What the probe said of gRPC, without its name.
fn grpc_lines(host: &Host) -> Vec<String> {
    let lines = said(host).into_iter();
    let lines = lines.filter_map(|line| Some(line.strip_prefix("a ")?.trim().to_owned()));
    let wanted = |line: &String| line.starts_with("grpc_") && !line.contains("-> token");
    lines.filter(wanted).collect()
}

const CALL: &str = "request_headers grpc_call auth shop.Auth Check 1000 who x-tenant=blue\n\
    request_headers pause\ngrpc_answer call_status\ngrpc_answer resume 0";

#[test]
fn a_service_sees_the_call_and_answers() {
    let host = host(CALL).grpc_service("auth", |request: &GrpcRequest| {
        assert_eq!(request.stage(), GrpcStage::Call);
        assert_eq!(
            (request.service(), request.method()),
            ("shop.Auth", "Check")
        );
        assert_eq!(request.message(), b"who");
        assert_eq!(request.metadata().get("x-tenant"), Some("blue"));
        GrpcReply::ok("you").after(20 * MILLISECOND)
    });
    let host = host.start().unwrap();
    let mut stream = host.open(Request::get("/"));
    host.advance(19 * MILLISECOND);
    assert!(!stream.is_over());
    host.advance(MILLISECOND);
    assert_eq!(stream.outcome().status(), 200);
    assert_eq!(grpc_lines(&host), ["grpc_answer status 0, 3 bytes"]);
}

#[test]
fn a_service_refuses_and_a_slow_one_times_out() {
    let host = host(CALL).grpc_service("auth", |request: &GrpcRequest| match request.message() {
        b"who" => GrpcReply::error(7, "not you"),
        _ => GrpcReply::nothing(),
    });
    let host = host.start().unwrap();
    host.send(Request::get("/"));
    let said = said(&host);
    let text = "a   call_status  -> 7 \"not you{via_upstream}\"".to_owned();
    assert!(said.contains(&text), "{said:?}");

    let slow = CALL.replace(" who", " slow");
    let service = |_: &GrpcRequest| GrpcReply::ok("late").after(1001 * MILLISECOND);
    let host = self::host(&slow)
        .grpc_service("auth", service)
        .start()
        .unwrap();
    let stream = host.open(Request::get("/"));
    host.advance(Duration::from_secs(2));
    stream.outcome();
    assert_eq!(grpc_lines(&host), ["grpc_answer status 14, 0 bytes"]);
}

#[test]
fn a_cluster_without_a_service_is_an_http_server() {
    let host = host(CALL).cluster("auth", |request: &Request| {
        assert_eq!(request.path(), "/shop.Auth/Check");
        assert_eq!(request.body_bytes(), b"\0\0\0\0\x03who");
        Response::new(200)
            .header("content-type", "application/grpc")
            .chunk(b"\0\0\0\0\x02ok")
            .trailer("grpc-status", "0")
    });
    let host = host.start().unwrap();
    host.send(Request::get("/"));
    assert_eq!(grpc_lines(&host), ["grpc_answer status 0, 2 bytes"]);
    let host = self::host(CALL).cluster("auth", |_: &Request| Answer::connect_failure());
    let host = host.start().unwrap();
    host.send(Request::get("/"));
    assert_eq!(grpc_lines(&host), ["grpc_answer status 14, 0 bytes"]);
}

const STREAM: &str = "request_headers grpc_open feed shop.Feed Watch\nrequest_headers grpc_send one\n\
    request_headers pause\ngrpc_message body 5\ngrpc_metadata map 4\ngrpc_trailers map 5\n\
    grpc_closed resume 0";

#[test]
fn a_stream_is_scripted_stage_by_stage() {
    let host = host(&format!("{STREAM}\ngrpc_message grpc_send two end"));
    let host = host.grpc_service("feed", |request: &GrpcRequest| match request.stage() {
        GrpcStage::Opened => GrpcReply::message("hello").metadata("x-feed", "1"),
        GrpcStage::Message if request.messages().len() == 1 => GrpcReply::nothing(),
        GrpcStage::Message => GrpcReply::message(request.message()),
        _ => GrpcReply::nothing().and_end(0, "").trailer("x-left", "0"),
    });
    let host = host.start().unwrap();
    assert_eq!(host.send(Request::get("/")).status(), 200);
    let lines = grpc_lines(&host);
    let callbacks: Vec<_> = lines.iter().filter(|line| !line.contains("->")).collect();
    let expected = [
        "grpc_metadata 3",
        "grpc_message 5 bytes",
        "grpc_message 3 bytes",
        "grpc_trailers 2",
        "grpc_closed status 0",
    ];
    assert_eq!(callbacks, expected);
    assert!(said(&host).contains(&"a   body 5 -> \"two\"".to_owned()));
}

#[test]
fn calls_and_streams_are_answered_by_hand() {
    let host = host(CALL).grpc_service("auth", |_: &GrpcRequest| GrpcReply::nothing());
    let host = host.start().unwrap();
    let stream = host.open(Request::get("/"));
    let call = host.pending_calls().pop().unwrap();
    assert!(call.is_grpc());
    assert_eq!((call.filter(), call.cluster()), ("a", "auth"));
    assert_eq!(call.messages(), [b"who"]);
    call.reply(GrpcReply::ok("by hand"));
    assert_eq!(stream.outcome().status(), 200);
    assert_eq!(grpc_lines(&host), ["grpc_answer status 0, 7 bytes"]);
    // The timeout does not come on top.
    host.advance(Duration::from_secs(2));
    assert_eq!(grpc_lines(&host).len(), 1);

    let host = self::host(STREAM).grpc_service("feed", |_: &GrpcRequest| GrpcReply::nothing());
    let host = host.start().unwrap();
    let stream = host.open(Request::get("/"));
    let call = host.worker(0).pending_calls().pop().unwrap();
    call.reply(GrpcReply::message("a"));
    call.reply(GrpcReply::message("b").after(MILLISECOND));
    host.advance(MILLISECOND);
    call.reply(GrpcReply::error(13, "enough"));
    assert_eq!(stream.outcome().status(), 200);
    assert!(host.pending_calls().is_empty());
    assert_eq!(grpc_lines(&host).last().unwrap(), "grpc_closed status 13");
}
