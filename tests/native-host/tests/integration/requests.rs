//! What a test says of a request, and what it learns of its outcome.

use std::time::Duration;

use proxy_wasm_native_host::{
    Answer, Host, MetricKind, Protocol, Request, Response, ResponseFlags, Route,
};

use crate::common::{said, scripted};

fn host(script: &str) -> Host {
    Host::builder()
        .filter(scripted("a", script))
        .start()
        .unwrap()
}

fn bytes(number: i64) -> Option<Vec<u8>> {
    Some(number.to_le_bytes().to_vec())
}

#[test]
fn tls_shows_where_envoy_shows_it() {
    let script = "request_headers property connection.tls_version\n\
        request_headers property request.scheme\n\
        request_headers get request x-forwarded-proto";
    let host = host(script);
    host.send(Request::get("/"));
    host.send(Request::get("/").tls());
    let lines = said(&host);
    let answers = lines.iter().filter_map(|line| line.split_once("-> "));
    let answers: Vec<_> = answers.map(|(_, answer)| answer).collect();
    let plain = ["status 1", "\"http\"", "\"http\""];
    let tls = ["\"TLSv1.3\"", "\"https\"", "\"https\""];
    assert_eq!(answers, [plain, tls].concat());
}

#[test]
fn properties_can_be_given_for_all_requests_and_for_one() {
    let host = Host::builder()
        .property("xds.cluster_metadata", "all")
        .property("source.port", 7_i64)
        .start()
        .unwrap();
    let outcome = host.send(Request::get("/"));
    assert_eq!(
        outcome.property("xds.cluster_metadata").as_deref(),
        Some(&b"all"[..])
    );
    assert_eq!(outcome.property("source.port"), bytes(7));
    let outcome = host.send(Request::get("/").property("xds.cluster_metadata", "one"));
    assert_eq!(
        outcome.property("xds.cluster_metadata").as_deref(),
        Some(&b"one"[..])
    );
    assert_eq!(outcome.property("no.such_property"), None);
}

#[test]
fn an_outcome_tells_what_an_access_log_would() {
    let host = host("request_headers set_property tenant blue");
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.code_details().as_deref(), Some("via_upstream"));
    assert!(outcome.flags().is_empty());
    assert_eq!(outcome.flags().to_string(), "-");
    assert_eq!(outcome.property("response.code"), bytes(200));
    assert_eq!(
        outcome.filter_state("tenant").as_deref(),
        Some(&b"blue"[..])
    );
    let seen = outcome.upstream_request().unwrap();
    assert_eq!(seen.headers().get(":authority"), Some("example.com"));
    assert_eq!(
        seen.headers().get("x-envoy-expected-rq-timeout-ms"),
        Some("15000")
    );
    let callbacks = [
        "request_headers",
        "response_headers",
        "response_body",
        "response_body",
    ];
    assert_eq!(outcome.callbacks("a")[..4], callbacks);
    assert_eq!(outcome.trace().len(), 7);
}

#[test]
fn an_outcome_is_shown_as_a_line_of_an_access_log() {
    let host = Host::builder()
        .filter(scripted("a", ""))
        .upstream(|request: &Request| match request.path() {
            "/down" => Answer::connect_failure(),
            "/bytes" => Response::new(200).body(b"\xff\xfe").into(),
            _ => Response::new(200).body("hello").into(),
        })
        .start()
        .unwrap();
    let outcome = host.send(Request::post("/say?it").body("abc"));
    let line = r#""POST /say?it HTTP/1.1" 200 - via_upstream 3 5 "hello""#;
    assert_eq!(outcome.to_string(), line);
    let reply = scripted("b", "request_headers reply 403 no");
    let refused = Host::builder().filter(reply).start().unwrap();
    let line = r#""GET / HTTP/1.1" 403 - - 0 2 "no""#;
    assert_eq!(refused.send(Request::get("/")).to_string(), line);
    let line = host.send(Request::get("/down")).to_string();
    assert!(line.starts_with("\"GET /down HTTP/1.1\" 503 UF upstream_reset_before"));
    let bytes = host.send(Request::get("/bytes").protocol(Protocol::Http2));
    assert!(
        bytes.to_string().ends_with("(2 bytes that are no text)"),
        "{bytes}"
    );
    let shown = format!("{outcome:?}");
    assert!(shown.contains("body: \"hello\""), "{shown}");
    assert!(
        shown.contains("a: request_body (3 bytes) -> Continue"),
        "{shown}"
    );
}

#[test]
fn exactly_the_given_headers_reach_the_filters() {
    let host = host("request_headers map request");
    let headers = [
        (":method", "GET"),
        (":path", "/"),
        (":authority", "a"),
        ("x-envoy-max-retries", "9"),
    ];
    host.send(Request::exact(headers));
    let expected =
        "a   map request -> :method=\"GET\" :path=\"/\" :authority=\"a\" x-envoy-max-retries=\"9\"";
    assert!(
        said(&host).contains(&expected.to_owned()),
        "{:?}",
        said(&host)
    );
}

#[test]
fn logs_belong_to_their_request() {
    let host = Host::builder()
        .filter(scripted(
            "a",
            "request_headers get request :path\nconfigure tick 1000",
        ))
        .upstream(|_: &Request| Answer::from(Response::new(200)).after(Duration::from_secs(2)))
        .start()
        .unwrap();
    let streams = ["/one", "/two"].map(|path| host.open(Request::get(path)));
    host.advance(Duration::from_secs(2));
    for (stream, path) in streams.into_iter().zip(["/one", "/two"]) {
        let lines: Vec<_> = stream
            .outcome()
            .logs()
            .into_iter()
            .map(|line| line.message)
            .collect();
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert_eq!(lines[2], format!("a   get request :path -> {path:?}"));
    }
}

#[test]
fn header_values_are_bytes() {
    let host = host("request_headers map request");
    let outcome = host.send(Request::get("/").header("x-name", b"caf\xe9"));
    let seen = outcome.upstream_request().unwrap();
    assert_eq!(seen.headers().get_bytes("x-name"), Some(&b"caf\xe9"[..]));
    assert_eq!(seen.headers().get("x-name"), None);
}

#[test]
fn every_attempt_of_the_router_is_seen() {
    let host = Host::builder()
        .route(Route::new("retried").retry("connect-failure", 3))
        .upstream(|_: &Request| Answer::connect_failure())
        .start()
        .unwrap();
    let outcome = host.send(Request::get("/"));
    assert_eq!(outcome.upstream_requests().len(), 4);
    assert_eq!(outcome.flags(), ResponseFlags::UF | ResponseFlags::URX);
    assert_eq!(outcome.flags().to_string(), "UF,URX");
    assert!(
        outcome
            .response()
            .body_text()
            .contains("retried and the latest reset reason")
    );
    assert_eq!(
        outcome.property("upstream.request_attempt_count"),
        Some(4_u64.to_le_bytes().into())
    );
}

#[test]
fn a_body_s_end_comes_as_the_protocol_has_it() {
    let host = host("");
    let body_lines = |request: Request| {
        let before = host.logs().len();
        host.send(request);
        let mut lines = said(&host).split_off(before);
        lines.retain(|line| line.contains("request_body"));
        lines
    };
    let request = || Request::post("/").chunk("abc").chunk("de");
    let http1 = [
        "a request_body 3",
        "a request_body 2",
        "a request_body 0 end",
    ];
    assert_eq!(body_lines(request()), http1);
    let http2 = ["a request_body 3", "a request_body 2 end"];
    assert_eq!(body_lines(request().protocol(Protocol::Http2)), http2);
}

#[test]
fn grpc_has_its_status_in_the_trailers() {
    let host = Host::builder()
        .filter(scripted(
            "a",
            "response_trailers get response_trailers grpc-status",
        ))
        .upstream(|_: &Request| {
            Response::new(200)
                .header("content-type", "application/grpc")
                .chunk("\0\0\0\0\0")
                .trailer("grpc-status", "8")
        })
        .start()
        .unwrap();
    let outcome = host.send(Request::grpc("/shop.Cart/Add").chunk("\0\0\0\0\0"));
    assert_eq!(outcome.response().trailers().get("grpc-status"), Some("8"));
    assert_eq!(outcome.property("response.grpc_status"), bytes(8));
    assert_eq!(
        outcome.property("request.protocol").as_deref(),
        Some(&b"HTTP/2"[..])
    );
    let said = said(&host);
    assert!(said.contains(&"a   get response_trailers grpc-status -> \"8\"".to_owned()));
}

#[test]
fn clients_can_leave_at_any_time() {
    let host = Host::builder()
        .filter(scripted("a", "response_headers pause"))
        .upstream(|_: &Request| Answer::from(Response::new(200)).after(Duration::from_secs(1)))
        .start()
        .unwrap();
    let stream = host.open(Request::get("/").protocol(Protocol::Http2));
    stream.reset();
    let outcome = stream.outcome();
    assert_eq!(outcome.flags(), ResponseFlags::DR);
    assert_eq!(
        outcome.code_details().as_deref(),
        Some("http2.remote_reset")
    );
    assert_eq!(outcome.property("response.code"), None);
    assert!(outcome.was_broken_off() && outcome.try_response().is_none());
    assert_eq!(
        outcome.callbacks("a"),
        ["request_headers", "log", "done", "delete"]
    );

    let unfinished = host
        .worker(0)
        .open_unfinished(Request::post("/").chunk("a"));
    unfinished.send_body("b");
    unfinished.disconnect();
    let outcome = unfinished.outcome();
    assert_eq!(outcome.flags(), ResponseFlags::DC);
    assert!(outcome.upstream_request().is_none());

    let answered = host.open(Request::get("/"));
    host.advance(Duration::from_secs(1));
    answered.disconnect();
    let outcome = answered.outcome();
    assert_eq!(outcome.property("response.code"), bytes(200));
    assert_eq!(outcome.flags(), ResponseFlags::DC);
}

#[test]
fn an_answer_after_the_client_left_is_nobody_s() {
    let host = Host::builder()
        .filter(scripted("a", ""))
        .upstream(|_: &Request| Answer::from(Response::new(200)).after(Duration::from_secs(1)))
        .start()
        .unwrap();
    let stream = host.open(Request::get("/"));
    stream.disconnect();
    host.advance(Duration::from_secs(20));
    assert!(!said(&host).contains(&"a response_headers".to_owned()));
    assert_eq!(stream.outcome().flags(), ResponseFlags::DC);
}

#[test]
fn trailers_end_a_request_that_is_sent_in_pieces() {
    let script = "request_trailers map request_trailers";
    let requests = |host: &Host| {
        let lines = said(host).into_iter();
        let lines = lines.filter(|line| line.contains("request_"));
        lines.collect::<Vec<_>>()
    };
    let host = host(script);
    let stream = host.open_unfinished(Request::post("/").trailer("x-sum", "9"));
    stream.send_body("nine");
    stream.end();
    stream.end();
    let outcome = stream.outcome();
    let seen = outcome.upstream_request().unwrap();
    assert_eq!(seen.trailers().get("x-sum"), Some("9"));
    let expected = [
        "a request_headers",
        "a request_body 4",
        "a request_trailers 1",
        "a   map request_trailers -> x-sum=\"9\"",
    ];
    assert_eq!(requests(&host), expected);

    let host = self::host(script);
    let stream = host.open_unfinished(Request::post("/").chunk("body").trailer("x-a", "1"));
    stream.send_trailers(&[("x-b", "2")]);
    let outcome = stream.outcome();
    assert_eq!(outcome.upstream_request().unwrap().trailers().len(), 2);
    let expected = "a   map request_trailers -> x-a=\"1\" x-b=\"2\"";
    assert_eq!(requests(&host).last().unwrap(), expected);
}

#[test]
fn the_upstream_gets_what_the_filters_made_of_the_request() {
    let script = "request_headers remove request content-length\n\
        request_body set_body 0 0 1 J\nrequest_trailers set request_trailers x-t 2";
    let host = host(script);
    let request = Request::post("/").chunk("hello").trailer("x-t", "1");
    let outcome = host.send(request);
    let seen = outcome.upstream_request().unwrap();
    assert_eq!(seen.body_bytes(), b"Jello");
    assert_eq!(seen.trailers().get("x-t"), Some("2"));
}

#[test]
#[should_panic(expected = "filter \"a\" holds the request")]
fn sending_what_stays_under_way_is_a_mistake() {
    host("request_headers pause").send(Request::get("/"));
}

#[test]
#[should_panic(expected = "Envoy 1.40 crashes")]
fn a_local_response_from_on_log_is_a_mistake() {
    host("log reply 403 late").send(Request::get("/"));
}

#[test]
#[should_panic(expected = "Envoy 1.40 crashes")]
fn resuming_a_response_that_has_not_begun_is_a_mistake() {
    host("request_headers resume 1").send(Request::get("/"));
}

#[test]
#[should_panic(expected = "Envoy 1.40 sends them twice")]
fn resuming_a_request_that_is_not_held_is_a_mistake() {
    host("request_headers resume 0").send(Request::get("/"));
}

#[test]
#[should_panic(expected = "no Counter is called \"requets\"; there are [\"requests\"")]
fn a_misspelt_metric_is_a_mistake() {
    host("configure define 0 requests").counter("requets");
}

#[test]
fn metrics_are_read_by_name_and_kind() {
    let script = "configure define 1 level\nrequest_headers record 7\n\
        request_headers define 2 sizes\nrequest_headers record 3\nrequest_headers record 5";
    let host = host(script);
    host.send(Request::get("/"));
    assert_eq!(host.histogram("sizes"), [3, 5]);
    assert_eq!(host.metric_names(MetricKind::Gauge), ["level"]);
    assert_eq!(host.gauge("level"), 7);
}
