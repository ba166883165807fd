//! Panics: what the client gets, what is counted and logged, and that Envoy lives.

use portcullis_envoy_tests::client::Pending;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::LibraryFilter;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_until;
use portcullis_envoy_tests::{artifacts, bootstrap};
use serde_json::{Value, json};

use super::is_wasm;
use super::keys::{self, KeyServer};

const CRASH: &str = "x-portcullis-crash";
/// Those that an earlier Envoy refuses.
const NEED_1_39: [&str; 2] = ["circuit-breaker", "retry-budget"];
const MOMENTS: [&str; 5] = ["request", "request_end", "response", "trailers", "log"];

/// A configuration of each plugin that judges every request.
fn configurations() -> [(&'static str, Value); 5] {
    [
        (
            "security-headers",
            json!({"name": "edge", "preset": "helmet"}),
        ),
        ("jwt-auth", keys::remote("edge")),
        (
            "rate-limit",
            json!({"name": "edge", "limits": [{"name": "all", "rate": {"requests": 1000, "per": "1h"}}]}),
        ),
        (
            "circuit-breaker",
            json!({"name": "edge", "breakers": [{"name": "all", "failure_rate": 50}]}),
        ),
        (
            "retry-budget",
            json!({"name": "edge", "budgets": [{"name": "all"}]}),
        ),
    ]
}

/// These two refuse what they cannot judge; the others let it pass, unless `on_error` says otherwise.
fn status_after(plugin: &str, moment: &str) -> u16 {
    match (plugin, moment) {
        ("security-headers", "request" | "response") | ("jwt-auth", "request") => 503,
        _ => 200,
    }
}

fn crash(moment: &str) -> Request {
    let mut request = Request::post("/public", "text").header(CRASH, moment);
    request = request.trailer("x-end", "1");
    request
}

/// Panics in the log, since its record `first`.
fn panics(envoy: &Envoy, first: usize) -> usize {
    let log = envoy.log().into_iter().skip(first);
    log.filter(|it| it.level == "critical" && it.message.contains("asks for a panic"))
        .count()
}

#[test]
fn envoy_survives_a_panic_at_any_moment_in_any_plugin() {
    if is_wasm() {
        return;
    }
    for (plugin, configuration) in configurations() {
        if artifacts::envoy_version() < (1, 39) && NEED_1_39.contains(&plugin) {
            continue;
        }
        let server = KeyServer::new();
        let envoy = Envoy::builder()
            .plugin(&LibraryFilter::crashable(plugin).configuration(&configuration.to_string()))
            .cluster(bootstrap::cluster("idp", server.server.address()))
            .upstream(|_| {
                let reply = portcullis_envoy_tests::upstream::Reply::new(200);
                reply.body("hello").trailer("x-end", "1")
            })
            .start();
        for moment in MOMENTS {
            let first = envoy.log().len();
            let response = envoy.http2_client().send(&crash(moment));
            let status = status_after(plugin, moment);
            assert_eq!(response.status, status, "{plugin}, {moment}: {response:?}");
            wait_until("the panic in the log", || panics(&envoy, first) > 0);
            let status = envoy.client().send(&Request::get("/public")).status;
            assert_eq!(status, 200, "{plugin} after a panic in {moment}");
        }
    }
}

/// The reply is on its way when the plugin panics: the client gets it, and nothing else.
#[test]
fn a_panic_after_the_reply_leaves_it_as_it_is() {
    if is_wasm() {
        return;
    }
    let configuration = json!({"name": "edge", "limits": [
        {"name": "all", "rate": {"requests": 1, "per": "1h"}, "burst": 1},
    ]});
    let filter = LibraryFilter::crashable("rate-limit").configuration(&configuration.to_string());
    let envoy = Envoy::builder().plugin(&filter).start();
    assert_eq!(envoy.client().send(&Request::get("/")).status, 200);

    let response = envoy
        .client()
        .send(&Request::get("/").header(CRASH, "request"));

    assert_eq!(response.status, 429, "{response:?}");
    assert!(response.complete);
}

/// The callback that judges woken requests is about one of them. The panic of another must not be lost in it.
#[test]
fn a_woken_request_that_panics_is_answered_and_so_are_the_others() {
    if is_wasm() {
        return;
    }
    let server = KeyServer::new();
    let configuration = keys::remote("edge").to_string();
    let envoy = Envoy::builder()
        .concurrency(1)
        .plugin(&LibraryFilter::crashable("jwt-auth").configuration(&configuration))
        .cluster(bootstrap::cluster("idp", server.server.address()))
        .start();
    let mut clients = Vec::new();
    for number in 0..6 {
        let mut request = server.request("/");
        if number % 2 == 1 {
            request = request.header(CRASH, "woken");
        }
        clients.push(envoy.client().start(request));
        let waiting = "portcullis.jwt_auth.policy=.=edge;.;waiting";
        envoy.wait_for_stat(waiting, number + 1);
    }

    server.publish();

    wait_until("answers", || clients.iter().all(Pending::is_finished));
    let statuses: Vec<u16> = clients.into_iter().map(|it| it.response().status).collect();
    assert_eq!(statuses, [200, 503, 200, 503, 200, 503]);
    envoy.wait_for_stat("portcullis.jwt_auth.policy=.=edge;.;waiting", 0);
}
