//! The harness itself, on a real Envoy without plugins: what it shows must be what happened.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use portcullis_envoy_tests::bootstrap::{self, REFUSING};
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::{Headers, Request};
use portcullis_envoy_tests::reply::{Ending, Reply};
use portcullis_envoy_tests::upstream::Upstream;
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
fn what_is_not_http_is_refused_by_envoy() {
    let envoy = Envoy::builder().start();

    let response = envoy
        .client()
        .send_bytes(b"GET / HTTP/1.1\r\nno colon\r\n\r\n");

    assert_eq!(response.expect("an answer").status, 400);
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
fn a_host_that_is_not_served_has_no_route() {
    let envoy = Envoy::builder().domain("shop.example").start();

    let response = envoy
        .client()
        .send(&Request::get("/").header("host", "other.example"));
    let served = envoy
        .client()
        .send(&Request::get("/").header("host", "shop.example"));

    assert_eq!((response.status, served.status), (404, 200));
    let logged = &envoy.wait_for_access_log(1)[0];
    assert_eq!(
        (logged.flags.as_str(), logged.details.as_str()),
        ("NR", "route_not_found")
    );
}

#[test]
fn an_upstream_that_refuses_connections_is_a_503() {
    let envoy = Envoy::builder()
        .route(json!({"match": {"prefix": "/down"}, "route": {"cluster": REFUSING}}))
        .start();

    assert_eq!(envoy.client().send(&Request::get("/down")).status, 503);
    assert_eq!(envoy.client().send(&Request::get("/up")).status, 200);

    assert_eq!(envoy.wait_for_access_log(2)[0].flags, "UF");
}

#[test]
fn an_upstream_that_does_not_answer_is_a_503() {
    let envoy = Envoy::builder()
        .upstream(|request| match request.target.as_str() {
            "/close" => Reply::none(Ending::Close),
            _ => Reply::none(Ending::Reset),
        })
        .start();

    for target in ["/close", "/reset"] {
        assert_eq!(envoy.client().send(&Request::get(target)).status, 503);
        assert_eq!(envoy.http2_client().send(&Request::get(target)).status, 503);
    }

    let logged = envoy.wait_for_access_log(4);
    let flags: Vec<&str> = logged.iter().map(|entry| entry.flags.as_str()).collect();
    // Over HTTP/1 both end the connection; over HTTP/2 a reset ends but the stream.
    assert_eq!(flags, ["UC", "UC", "UC", "UR"]);
}

#[test]
fn an_upstream_that_breaks_off_is_seen_in_the_body_only() {
    let envoy = Envoy::builder()
        .upstream(|request| match request.target.as_str() {
            "/close" => Reply::new(200).body("begin").ending(Ending::Close),
            _ => Reply::new(200).body("begin").ending(Ending::Reset),
        })
        .start();

    for target in ["/close", "/reset"].repeat(10) {
        for client in [envoy.client(), envoy.http2_client()] {
            let response = client.send(&Request::get(target));
            assert_eq!((response.status, response.text().as_str()), (200, "begin"));
            assert!(!response.complete);
        }
    }
}

#[test]
fn an_upstream_that_is_late_or_hangs_runs_into_the_timeout() {
    let envoy = Envoy::builder()
        .route(json!({
            "match": {"prefix": "/impatient"},
            "route": {"cluster": "upstream", "timeout": "0.05s"},
        }))
        .upstream(|request| match request.target.as_str() {
            "/impatient/late" => Reply::new(200).delay(Duration::from_secs(5)),
            "/patient/late" => Reply::new(200).delay(Duration::from_millis(100)),
            _ => Reply::none(Ending::Hang),
        })
        .start();

    assert_eq!(
        envoy.client().send(&Request::get("/impatient/late")).status,
        504
    );
    assert_eq!(
        envoy.client().send(&Request::get("/impatient/hang")).status,
        504
    );
    assert_eq!(
        envoy
            .http2_client()
            .send(&Request::get("/impatient/hang"))
            .status,
        504
    );
    assert_eq!(
        envoy.client().send(&Request::get("/patient/late")).status,
        200
    );

    assert_eq!(envoy.wait_for_access_log(4)[0].flags, "UT");
}

#[test]
fn a_client_that_goes_away_is_logged_so() {
    let envoy = Envoy::builder()
        .upstream(|_| Reply::none(Ending::Hang))
        .start();

    let pending = envoy.client().start(Request::get("/1"));
    envoy.upstream().wait_for_requests(1);
    pending.disconnect();
    let http1 = envoy.wait_for_access_log(1)[0].clone();
    let pending = envoy.http2_client().start(Request::get("/2"));
    envoy.upstream().wait_for_requests(2);
    pending.disconnect();
    let http2 = envoy.wait_for_access_log(2)[1].clone();

    assert_eq!((http1.status, http1.flags.as_str()), (0, "DC"));
    assert_eq!((http2.status, http2.flags.as_str()), (0, "DR"));
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
    let fields = json!({"http_protocol_options": {"enable_trailers": true}});
    let envoy = Envoy::builder()
        .connection_manager(fields.as_object().expect("an object").clone())
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
fn listeners_clusters_and_native_filters_can_be_added() {
    let other = Upstream::start(|_| Reply::new(203));
    let redirect = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "second",
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "redirect": {"https_redirect": true}}],
        }]},
        "http_filters": [{
            "name": "router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }],
    });
    let envoy = Envoy::builder()
        .native(json!({
            "name": "mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"response_mutations": [
                    {"append": {"header": {"key": "x-native", "value": "yes"}}},
                ]},
            },
        }))
        .cluster(bootstrap::cluster("other", other.address()))
        .route(json!({"match": {"prefix": "/other"}, "route": {"cluster": "other"}}))
        .listener(bootstrap::listener("second", &redirect))
        .start();

    let response = envoy.client().send(&Request::get("/other"));
    let second = portcullis_envoy_tests::client::Client::http1(envoy.address("second"));

    assert_eq!(
        (response.status, response.header("x-native")),
        (203, Some("yes"))
    );
    assert_eq!(other.requests().len(), 1);
    assert_eq!(second.send(&Request::get("/")).status, 301);
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

#[test]
fn a_configuration_that_envoy_refuses_is_an_error_with_its_words() {
    let unknown = json!({"name": "x", "typed_config": {"@type": "type.googleapis.com/not.Known"}});

    let refused = Envoy::builder().native(unknown).try_start();

    let error = refused.err().expect("Envoy does not start").to_string();
    assert!(error.contains("not.Known"), "{error}");
}

#[test]
fn dropping_an_envoy_leaves_neither_process_nor_port() {
    let envoy = Envoy::builder().start();
    let (process, client) = (envoy.process_id(), envoy.client());
    assert!(is_running(process));

    drop(envoy);

    assert!(!is_running(process));
    assert!(client.try_send(&Request::get("/")).is_err());
}

/// An Envoy that outlives every test, as files have it that share one.
static SHARED: LazyLock<Envoy> = LazyLock::new(|| Envoy::builder().start());

#[test]
#[ignore = "not a test: the part of the next one that runs in a process of its own"]
fn starts_the_shared_envoy_and_ends_without_dropping_it() {
    println!("envoy {}", SHARED.process_id());
    std::process::abort();
}

#[test]
fn an_envoy_ends_with_its_test_process_however_that_ends() {
    let output = Command::new(std::env::current_exe().expect("this test program"))
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("starts_the_shared_envoy_and_ends_without_dropping_it")
        .stderr(Stdio::null())
        .output()
        .expect("this test program runs");

    let output = String::from_utf8_lossy(&output.stdout);
    let process = output
        .lines()
        .find_map(|line| Some(line.split_once("envoy ")?.1));
    let process = process.expect("the process id").parse().expect("a number");
    for _ in 0..1000 {
        if !is_running(process) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("Envoy {process} still runs");
}

/// Whether there is such a process. A zombie that nobody has waited for yet has ended, too.
fn is_running(process: u32) -> bool {
    let status = Path::new("/proc").join(process.to_string()).join("status");
    let status = std::fs::read_to_string(status).unwrap_or_default();
    !status.is_empty() && !status.contains("\nState:\tZ")
}
