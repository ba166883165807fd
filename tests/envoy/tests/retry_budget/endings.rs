//! Requests make a deposit only if they reached a host of the upstream, whatever their ending.

use std::net::SocketAddr;

use portcullis_envoy_tests::bootstrap::{self, REFUSING, UPSTREAM};
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Ending, Reply, Upstream};
use serde_json::{Value, json};

use super::{count, plugin};

/// A route by prefix, with the action of this kind.
fn route(path: &str, kind: &str, action: &Value) -> Value {
    json!({"match": {"prefix": path}, kind: action})
}

/// A cluster with this limit in its own circuit breakers.
fn limited(name: &str, service: SocketAddr, limit: &str) -> Value {
    let mut cluster = bootstrap::cluster(name, service);
    cluster["circuit_breakers"]["thresholds"][0][limit] = json!(0);
    cluster
}

fn envoy(service: SocketAddr) -> Envoy {
    let mut empty = bootstrap::cluster("empty", service);
    empty["load_assignment"]["endpoints"] = json!([]);
    let to = |cluster: &str| json!({"cluster": cluster});
    let retrying = json!({"retry_on": "5xx", "num_retries": 1});
    let routes = [
        route("/direct", "direct_response", &json!({"status": 200})),
        route("/redirect", "redirect", &json!({"path_redirect": "/"})),
        route("/empty", "route", &to("empty")),
        route("/requests", "route", &to("no-requests")),
        route("/pending", "route", &to("nothing-pending")),
        route("/refusing", "route", &to(REFUSING)),
        route(
            "/retry",
            "route",
            &json!({"cluster": "no-retries", "retry_policy": retrying}),
        ),
        route(
            "/late",
            "route",
            &json!({"cluster": UPSTREAM, "timeout": "0.1s"}),
        ),
    ];
    let clusters = [
        empty,
        limited("no-requests", service, "max_requests"),
        limited("nothing-pending", service, "max_pending_requests"),
        limited("no-retries", service, "max_retries"),
    ];
    let builder = routes
        .into_iter()
        .fold(Envoy::builder(), |it, route| it.route(route));
    let builder = clusters
        .into_iter()
        .fold(builder, |it, cluster| it.cluster(cluster));
    builder
        .domain("test.example")
        .upstream(answer)
        .plugin(&plugin(&json!({})))
        .start()
}

fn answer(request: &Request) -> Reply {
    match request.target.as_str() {
        "/reset" => Reply::none(Ending::Reset),
        "/late" => Reply::none(Ending::Hang),
        "/retry" | "/fails" => Reply::new(503),
        _ => Reply::new(200),
    }
}

/// Path, status, Envoy's number of attempts, flags, and whether the request makes a deposit.
const ENDINGS: [(&str, u16, u32, &str, bool); 11] = [
    ("/direct", 200, 0, "-", false),
    ("/redirect", 301, 0, "-", false),
    ("/empty", 503, 1, "UH", false),
    ("/requests", 503, 1, "UO", false),
    ("/pending", 503, 1, "UO", false),
    ("/ok", 200, 1, "-", true),
    ("/fails", 503, 1, "-", true),
    ("/reset", 503, 1, "UC", true),
    ("/refusing", 503, 1, "UF", true),
    ("/late", 504, 1, "UT", true),
    // This holds back the retry, not the request.
    ("/retry", 503, 1, "UO", true),
];

#[test]
fn a_deposit_is_for_what_reached_an_upstream() {
    let service = Upstream::start(answer);
    let envoy = envoy(service.address());
    let client = envoy.client();
    let mut deposits = 0;
    for (number, (path, status, attempts, flags, pays)) in (1..).zip(ENDINGS) {
        assert_eq!(client.send(&Request::get(path)).status, status, "{path}");
        let entries = envoy.wait_for_access_log(number);
        let entry = entries.last().expect("one for each request");
        assert_eq!(
            (entry.attempts, entry.flags.as_str()),
            (attempts, flags),
            "{path}"
        );
        deposits += u64::from(pays);
        assert_eq!(count(&envoy, "deposits"), deposits, "{path}: {entry:?}");
    }
    let elsewhere = Request::get("/").header("host", "elsewhere.example");
    assert_eq!(client.send(&elsewhere).status, 404);
    assert_eq!(count(&envoy, "deposits"), deposits);
    envoy.assert_no_vm_failed();
}
