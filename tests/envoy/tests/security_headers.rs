//! Behaviour that only a real Envoy shows: names in Prometheus, the log, HTTP/2, sizes and load. Everything else that a
//! user would notice is a scenario.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use std::collections::BTreeSet;
use std::thread;

use portcullis_envoy_tests::bootstrap;
use portcullis_envoy_tests::client::Connection;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::message::{Request, Response};
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

fn plugin(configuration: &Value) -> PluginFilter {
    PluginFilter::new("security-headers").configuration(&configuration.to_string())
}

/// One rule, whose name has all kinds of allowed characters.
fn edge() -> PluginFilter {
    plugin(&json!({
        "name": "edge",
        "cookies": {"secure": true},
        "cross_site": {"mode": "enforce"},
        "rules": [{"name": "api/v1.x_y-z", "match": {"path": {"prefix": "/api/"}}, "preset": "api"}],
    }))
}

/// A request from a page on another site. It has no body, because Envoy closes an HTTP/1.1 connection if it answers before
/// the body has arrived.
fn from_elsewhere() -> Request {
    Request::new("POST", "/pay").header("origin", "https://elsewhere.example")
}

fn assert_nosniff(response: &Response) {
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn the_access_log_names_the_rule_that_refused() {
    let envoy = Envoy::builder().plugin(&edge()).start();
    envoy.client().send(&from_elsewhere());
    let to_api = Request::new("POST", "/api/x").header("origin", "https://elsewhere.example");
    envoy.client().send(&to_api);
    let entries = envoy.wait_for_access_log(2);
    let details: Vec<&str> = entries.iter().map(|entry| entry.details.as_str()).collect();
    assert_eq!(
        details,
        [
            "cross_site_refused{none}",
            "cross_site_refused{api/v1.x_y-z}"
        ]
    );
}

#[test]
fn prometheus_sees_labels() {
    let envoy = Envoy::builder().plugin(&edge()).start();
    envoy.client().send(&Request::get("/"));
    envoy.client().send(&Request::get("/api/orders"));
    envoy.client().send(&from_elsewhere());

    let text = envoy.prometheus();
    let lines: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("portcullis_"))
        .collect();

    for line in [
        r#"portcullis_security_headers_responses{policy="edge",rule="none"} 2"#,
        r#"portcullis_security_headers_responses{policy="edge",rule="api/v1.x_y-z"} 1"#,
        r#"portcullis_security_headers_cross_site_refused{policy="edge",rule="none",reason="origin"} 1"#,
        r#"portcullis_security_headers_cross_site_refused{policy="edge",rule="none",reason="sec_fetch_site"} 0"#,
    ] {
        assert!(lines.contains(line), "{line} is not among {lines:#?}");
    }
}

#[test]
fn the_log_says_what_was_configured_in_one_line() {
    let envoy = Envoy::builder().plugin(&edge()).start();

    let log = envoy.log();
    let said: BTreeSet<&str> = log
        .iter()
        .filter_map(|record| record.plugin_message())
        .collect();

    let version = env!("CARGO_PKG_VERSION");
    let line = format!(
        r#"portcullis security_headers {version} "edge": mode enforce, preset helmet, rules: api/v1.x_y-z"#
    );
    assert_eq!(said, BTreeSet::from([line.as_str()]));
}

#[test]
fn a_struct_is_refused_with_what_to_write_instead() {
    let structure = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": {"name": "edge"},
    });

    let refused = Envoy::builder()
        .plugin(&edge().configuration_any(structure))
        .try_start();

    let error = refused.err().expect("Envoy does not start").to_string();
    let advice =
        r#"use "@type": type.googleapis.com/google.protobuf.StringValue with the JSON text"#;
    assert!(error.contains(advice), "{error}");
}

#[test]
fn http2_is_no_different() {
    let envoy = Envoy::builder().plugin(&edge()).start();
    let client = envoy.http2_client();

    assert_nosniff(&client.send(&Request::get("/")));
    let own = Request::post("/pay", "x=1")
        .header("host", "shop.example")
        .header("origin", "http://shop.example");
    assert_eq!(client.send(&own).status, 200);
    let refused = client.send(&from_elsewhere());
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (403, "Cross-site request refused\n")
    );
    assert_nosniff(&refused);
}

/// The browser's origin is the host of its request, whatever the host of the redirect.
#[test]
fn an_internal_redirect_to_another_host_makes_no_cross_site_request() {
    let route = json!({"match": {"prefix": "/pay"}, "route": {
        "cluster": bootstrap::UPSTREAM,
        "internal_redirect_policy": {"redirect_response_codes": [307]},
    }});
    let envoy = Envoy::builder()
        .plugin(&edge())
        .route(route)
        .upstream(|request| match request.target.as_str() {
            "/pay" => Reply::new(307).header("location", "http://backend.example/pay/done"),
            _ => Reply::new(200),
        })
        .start();
    let from = |origin: &str| {
        Request::new("POST", "/pay")
            .header("host", "shop.example")
            .header("origin", origin)
    };

    assert_eq!(
        envoy.client().send(&from("http://shop.example")).status,
        200
    );
    let received = envoy.upstream().requests();
    let hosts: Vec<_> = received
        .iter()
        .map(|request| request.headers.text("host"))
        .collect();
    assert_eq!(hosts, [Some("shop.example"), Some("backend.example")]);

    // The client's own claim about its original host does not count.
    let forged = from("http://evil.example").header("x-envoy-original-url", "http://evil.example/");
    for request in [from("http://backend.example"), forged] {
        assert_eq!(envoy.client().send(&request).status, 403);
    }
}

/// No filter sees these, as the README says.
#[test]
fn replies_that_come_before_the_filters_lack_the_headers() {
    let envoy = Envoy::builder().plugin(&edge()).start();
    for (request, status) in [
        ("OPTIONS * HTTP/1.1\r\nhost: shop.example\r\n\r\n", 404),
        (
            "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            403,
        ),
        ("GET / HTTP/1.1\r\n\r\n", 400),
    ] {
        let response = envoy.client().send_bytes(request.as_bytes());
        let response = response.expect("a response");
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("x-content-type-options"), None, "{request}");
    }
}

#[test]
fn large_header_maps_pass_whole() {
    const FIELDS: usize = 200;
    let long = "x".repeat(60 * 1024);
    let upstream = Upstream::start({
        let long = long.clone();
        move |request| match request.target.as_str() {
            "/many" => (0..FIELDS).fold(Reply::new(200), |reply, n| {
                reply.header(format!("x-{n}"), n.to_string())
            }),
            _ => Reply::new(200).header("x-long", long.clone()),
        }
    });
    let mut cluster = bootstrap::cluster("generous", upstream.address());
    let options = cluster
        .pointer_mut(
            "/typed_extension_protocol_options\
             /envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        )
        .expect("the protocol options");
    options["common_http_protocol_options"] =
        json!({"max_headers_count": 1000, "max_response_headers_kb": 192});
    let envoy = Envoy::builder()
        .plugin(&edge())
        .connection_manager(json!({"max_request_headers_kb": 192}))
        .cluster(cluster)
        .route(json!({"match": {"prefix": "/"}, "route": {"cluster": "generous"}}))
        .start();

    let many = envoy.client().send(&Request::get("/many"));
    let sent_and_got = envoy
        .client()
        .send(&Request::get("/long").header("x-long", long.clone()));

    assert_nosniff(&many);
    for n in 0..FIELDS {
        assert_eq!(many.header(&format!("x-{n}")), Some(n.to_string().as_str()));
    }
    assert_nosniff(&sent_and_got);
    assert_eq!(sent_and_got.header("x-long"), Some(long.as_str()));
    assert_eq!(
        upstream.requests()[1].headers.text("x-long"),
        Some(long.as_str())
    );
    envoy.assert_no_vm_failed();
}

#[test]
fn nothing_is_lost_under_load() {
    const CONNECTIONS: u64 = 16;
    const ROUNDS: u64 = 25;
    const EACH: u64 = CONNECTIONS * ROUNDS;

    let envoy = Envoy::builder()
        .plugin(&edge())
        .upstream(|request| match request.target.as_str() {
            "/login" => Reply::new(200)
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2; Secure")
                .header("x-frame-options", "DENY"),
            _ => Reply::new(200),
        })
        .start();
    let round = |connection: &mut Connection| {
        let mut status = |request: Request| connection.send(&request).status;
        assert_eq!(status(Request::get("/")), 200);
        assert_eq!(status(Request::get("/api/orders")), 200);
        assert_eq!(status(Request::get("/login")), 200);
        assert_eq!(status(from_elsewhere()), 403);
        let cross_site =
            Request::new("DELETE", "/api/orders").header("sec-fetch-site", "cross-site");
        assert_eq!(status(cross_site), 403);
    };

    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = envoy.client().connect();
                (0..ROUNDS).for_each(|_| round(&mut connection));
            });
        }
    });

    envoy.assert_no_vm_failed();
    let count = |name: &str| {
        envoy.counter(&format!(
            "portcullis.security_headers.policy=.=edge;.;{name}"
        ))
    };
    assert_eq!(count("rule=.=none;.;responses"), 3 * EACH);
    assert_eq!(count("rule=.=none;.;upstream_kept"), EACH);
    assert_eq!(count("rule=.=none;.;cookies_rewritten"), EACH);
    assert_eq!(
        count("rule=.=none;.;reason=.=origin;.;cross_site_refused"),
        EACH
    );
    assert_eq!(count("rule=.=api/v1.x_y-z;.;responses"), 2 * EACH);
    assert_eq!(
        count("rule=.=api/v1.x_y-z;.;reason=.=sec_fetch_site;.;cross_site_refused"),
        EACH
    );
    assert_eq!(envoy.upstream().requests().len() as u64, 3 * EACH);
}
