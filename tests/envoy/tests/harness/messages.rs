//! Messages pass unchanged between client, Envoy and upstream.

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::{Headers, Request};
use portcullis_envoy_tests::upstream::Reply;
use serde_json::json;

#[test]
fn a_request_passes_and_both_sides_see_it() {
    let envoy = Envoy::builder()
        .upstream(|request| Reply::new(201).body(format!("hello {}", request.target)))
        .start();

    let request = Request::post("/things?a=b", "content").header("host", "shop.example");
    let response = envoy.client().send(&request);

    assert_eq!(response.status, 201);
    assert_eq!(response.text(), "hello /things?a=b");
    assert!(response.complete);
    let received = &envoy.upstream().requests()[0];
    assert_eq!(
        (received.method.as_str(), received.target.as_str()),
        ("POST", "/things?a=b")
    );
    assert_eq!(received.headers.text("host"), Some("shop.example"));
    assert_eq!(received.body, b"content");
    let logged = &envoy.wait_for_access_log(1)[0];
    assert_eq!(
        (logged.status, logged.flags.as_str(), logged.attempts),
        (201, "-", 1)
    );
    assert_eq!(logged.details, "via_upstream");
}

#[test]
fn odd_targets_arrive_as_they_were_sent() {
    let envoy = Envoy::builder().start();
    let targets = ["/a/../b", "//a//b", "/%2e%2E/%zz", "/a;b?c=/../d", "/a\\b"];

    for target in targets {
        envoy.client().send(&Request::get(target));
    }

    let received = envoy.upstream().requests();
    let received: Vec<&str> = received.iter().map(|it| it.target.as_str()).collect();
    assert_eq!(received, targets);
}

#[test]
fn bytes_duplicates_and_order_of_headers_are_kept_both_ways() {
    let envoy = Envoy::builder()
        .upstream(|_| {
            Reply::new(200)
                .header("set-cookie", "a=1")
                .header("x-bytes", b"\xff\xfe")
                .header("set-cookie", "b=2")
        })
        .start();

    let request = Request::get("/")
        .header("x-one", "1")
        .header("x-bytes", b"caf\xe9")
        .header("x-one", "2");
    let response = envoy.client().send(&request);

    let ours = |headers: &Headers, names: &[&str]| -> Vec<(String, Vec<u8>)> {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let fields = headers
            .iter()
            .map(|(name, value)| (text(name), value.to_vec()));
        fields
            .filter(|(name, _)| names.contains(&name.as_str()))
            .collect()
    };
    let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let received = &envoy.upstream().requests()[0].headers;
    assert_eq!(
        ours(received, &["x-one", "x-bytes"]),
        [
            field("x-one", b"1"),
            field("x-bytes", b"caf\xe9"),
            field("x-one", b"2")
        ]
    );
    assert_eq!(
        ours(&response.headers, &["set-cookie", "x-bytes"]),
        [
            field("set-cookie", b"a=1"),
            field("x-bytes", b"\xff\xfe"),
            field("set-cookie", b"b=2")
        ]
    );
}

#[test]
fn responses_without_a_body_end() {
    let envoy = Envoy::builder()
        .upstream(|request| match request.target.as_str() {
            "/head" => Reply::new(200).body("not for HEAD"),
            "/304" => Reply::new(304),
            _ => Reply::new(204),
        })
        .start();

    let mut connection = envoy.client().connect();
    for (method, target, status) in [
        ("HEAD", "/head", 200),
        ("GET", "/304", 304),
        ("GET", "/", 204),
    ] {
        let response = connection.send(&Request::new(method, target));
        assert_eq!(
            (response.status, response.body.len(), response.complete),
            (status, 0, true)
        );
    }
}

#[test]
fn one_connection_serves_several_requests() {
    let envoy = Envoy::builder().start();

    let mut connection = envoy.client().connect();
    connection.send(&Request::get("/1"));
    connection.send(&Request::get("/2"));

    assert_eq!(envoy.counter("http.ingress.downstream_cx_total"), 1);
    assert_eq!(envoy.counter("http.ingress.downstream_rq_2xx"), 2);
    assert!(
        envoy
            .prometheus()
            .contains("envoy_http_downstream_cx_total{")
    );
}

#[test]
fn the_tls_listener_is_reached_with_its_certificate() {
    let envoy = Envoy::builder().tls().start();

    let response = envoy.tls_client().send(&Request::get("/"));

    assert_eq!(response.status, 200);
    assert_eq!(envoy.counter("listener.127.0.0.1_0.ssl.handshake"), 1);
    let received = &envoy.upstream().requests()[0];
    assert_eq!(received.headers.text("x-forwarded-proto"), Some("https"));
}

#[test]
fn a_response_under_way_can_be_waited_for() {
    let envoy = Envoy::builder().upstream(|_| Reply::new(202)).start();

    let pending = envoy.client().start(Request::get("/"));

    assert_eq!(pending.response().status, 202);
}

#[test]
fn grpc_trailers_pass_over_http2() {
    let envoy = Envoy::builder()
        .upstream(|_| {
            Reply::new(200)
                .header("content-type", "application/grpc")
                .body(b"\0\0\0\0\0")
                .trailer("grpc-status", "5")
        })
        .start();

    let request = Request::post("/pkg.Service/Method", b"\0\0\0\0\x01x")
        .header("host", "grpc.example")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .trailer("x-checksum", "1");
    let response = envoy.http2_client().send(&request);

    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, b"\0\0\0\0\0".as_slice())
    );
    assert_eq!(response.trailers.text("grpc-status"), Some("5"));
    let received = &envoy.upstream().requests()[0];
    assert_eq!(received.headers.text("host"), Some("grpc.example"));
    assert_eq!(received.body, b"\0\0\0\0\x01x");
    assert_eq!(received.trailers.text("x-checksum"), Some("1"));
}

#[test]
fn trailers_pass_over_http1_where_envoy_is_told_to_keep_them() {
    let envoy = Envoy::builder()
        .connection_manager(json!({"http_protocol_options": {"enable_trailers": true}}))
        .upstream(|_| Reply::new(200).body("text").trailer("x-after", "2"))
        .start();

    let request = Request::post("/", "text").trailer("x-checksum", "1");
    let response = envoy.client().send(&request);

    assert_eq!(response.text(), "text");
    assert_eq!(response.trailers.text("x-after"), Some("2"));
    let received = &envoy.upstream().requests()[0];
    assert_eq!(received.trailers.text("x-checksum"), Some("1"));
}

#[test]
fn a_script_can_be_replaced_and_may_block() {
    let envoy = Envoy::builder().start();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    envoy.upstream().set_script(move |_| {
        gate.lock().expect("the gate").recv().expect("a release");
        Reply::new(299)
    });

    let pending = envoy.client().start(Request::get("/"));
    envoy.upstream().wait_for_requests(1);
    release.send(()).expect("the script waits");

    assert_eq!(pending.response().status, 299);
}
