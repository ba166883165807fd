//! What goes wrong on purpose is seen as Envoy sees it.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap::REFUSING;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Ending, Reply};
use serde_json::json;

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
