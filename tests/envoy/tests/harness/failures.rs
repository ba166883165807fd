//! Scripted failures appear as Envoy sees them.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_envoy_tests::bootstrap::REFUSING;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Ending, Reply};
use serde_json::json;

/// Envoy's response flags by request target, after `count` requests have ended.
fn flags(envoy: &Envoy, requests: usize) -> BTreeMap<String, String> {
    let logged = envoy.wait_for_access_log(requests).into_iter();
    logged.map(|entry| (entry.target, entry.flags)).collect()
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
fn a_host_that_is_not_served_has_no_route() {
    let envoy = Envoy::builder().domain("shop.example").start();

    let served = Request::get("/served").header("host", "shop.example");
    let other = Request::get("/other").header("host", "other.example");
    assert_eq!(envoy.client().send(&served).status, 200);
    assert_eq!(envoy.client().send(&other).status, 404);

    let flags = flags(&envoy, 2);
    assert_eq!(
        (flags["/served"].as_str(), flags["/other"].as_str()),
        ("-", "NR")
    );
}

#[test]
fn an_upstream_that_refuses_connections_is_a_503() {
    let envoy = Envoy::builder()
        .route(json!({"match": {"prefix": "/down"}, "route": {"cluster": REFUSING}}))
        .start();

    assert_eq!(envoy.client().send(&Request::get("/down")).status, 503);
    assert_eq!(envoy.client().send(&Request::get("/up")).status, 200);

    let flags = flags(&envoy, 2);
    assert_eq!(
        (flags["/down"].as_str(), flags["/up"].as_str()),
        ("UF", "-")
    );
}

#[test]
fn an_upstream_can_go_away_and_come_back() {
    let envoy = Envoy::builder().start();
    let mut client = envoy.client().connect();
    assert_eq!(client.send(&Request::get("/1")).status, 200);

    envoy.upstream().refuse_connections();
    envoy.wait_for_stat("cluster.upstream.upstream_cx_active", 0);
    assert_eq!(client.send(&Request::get("/2")).status, 503);

    envoy.upstream().accept_connections();
    assert_eq!(client.send(&Request::get("/3")).status, 200);

    assert_eq!(flags(&envoy, 3)["/2"], "UF");
}

#[test]
fn an_upstream_that_does_not_answer_is_a_503() {
    let envoy = Envoy::builder()
        .upstream(|request| match request.target.as_str() {
            "/http1/close" | "/http2/close" => Reply::none(Ending::Close),
            _ => Reply::none(Ending::Reset),
        })
        .start();

    for target in ["/http1/close", "/http1/reset"] {
        assert_eq!(envoy.client().send(&Request::get(target)).status, 503);
    }
    for target in ["/http2/close", "/http2/reset"] {
        assert_eq!(envoy.http2_client().send(&Request::get(target)).status, 503);
    }

    let flags = flags(&envoy, 4);
    assert_eq!(flags["/http1/close"], "UC");
    assert_eq!(flags["/http1/reset"], "UC");
    assert_eq!(flags["/http2/close"], "UC");
    assert_eq!(
        flags["/http2/reset"], "UR",
        "a reset ends the stream, not the connection"
    );
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

    let status = |target| envoy.client().send(&Request::get(target)).status;
    assert_eq!(status("/impatient/late"), 504);
    assert_eq!(status("/impatient/hang"), 504);
    assert_eq!(status("/patient/late"), 200);
    let hang = Request::get("/impatient/http2/hang");
    assert_eq!(envoy.http2_client().send(&hang).status, 504);

    let flags = flags(&envoy, 4);
    assert_eq!(flags["/impatient/late"], "UT");
    assert_eq!(flags["/patient/late"], "-");
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
