//! Requests that Envoy sends more than once: internal redirects, mirrors and hedges.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap::{self, UPSTREAM};
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::{count, plugin};

/// An Envoy with a budget for which each request deposits a retry, and one route for everything.
fn envoy(
    budget: Value,
    action: Value,
    clusters: Vec<Value>,
    answer: fn(&Request) -> Reply,
) -> Envoy {
    let builder = Envoy::builder().upstream(answer).plugin(&plugin(&budget));
    let route = json!({"match": {"prefix": "/"}, "route": action});
    let builder = clusters
        .into_iter()
        .fold(builder, |it, cluster| it.cluster(cluster));
    builder.route(route).start()
}

/// Each hop is a request of its own: it makes a deposit, and has its own retries.
#[test]
fn each_hop_of_an_internal_redirect_pays() {
    let action = json!({"cluster": UPSTREAM, "internal_redirect_policy": {}});
    let envoy = envoy(
        json!({"retry_on": "5xx"}),
        action,
        Vec::new(),
        |request| match (
            request.target.as_str(),
            request.headers.text("x-envoy-attempt-count"),
        ) {
            ("/moved", _) => Reply::new(302).header("location", "http://test.example/new"),
            ("/lost", _) => Reply::new(302).header("location", "http://test.example/fails"),
            ("/fails", _) => Reply::new(503),
            _ => Reply::new(200),
        },
    );
    let client = envoy.client();
    assert_eq!(client.send(&Request::get("/moved")).status, 200);
    envoy.wait_for_access_log(1);
    assert_eq!(count(&envoy, "deposits"), 2);
    assert_eq!(envoy.upstream().requests().len(), 2);

    // Only the second hop is retried, because the first one succeeded.
    assert_eq!(client.send(&Request::get("/lost")).status, 503);
    assert_eq!(count(&envoy, "deposits"), 4);
    assert_eq!(count(&envoy, "retries_used"), 1);
    assert_eq!(envoy.upstream().requests().len(), 2 + 3);
    envoy.assert_no_vm_failed();
}

/// Envoy has written the number of attempts for the redirected request, which says nothing about the caller's retries.
#[test]
fn a_hop_of_an_internal_redirect_is_no_retry_of_a_caller() {
    let budget = json!({"ratio": 50, "max_retries": 1, "inbound_retries": "deny"});
    let route = json!({
        "cluster": UPSTREAM,
        "internal_redirect_policy": {},
        "retry_policy": {
            "retry_on": "5xx",
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
        },
    });
    let envoy = Envoy::builder()
        .plugin(&plugin(&budget))
        .connection_manager(json!({"route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "include_request_attempt_count": true,
            "routes": [{"match": {"prefix": "/"}, "route": route}],
        }]}}))
        .upstream(|request| {
            let attempt = request.headers.text("x-envoy-attempt-count");
            match (request.target.as_str(), attempt) {
                ("/moved", Some("1")) => Reply::new(503),
                ("/moved", _) => Reply::new(302).header("location", "http://test.example/new"),
                _ => Reply::new(200),
            }
        })
        .start();
    let client = envoy.client();
    for _ in 0..2 {
        assert_eq!(client.send(&Request::get("/")).status, 200);
    }
    // The one retry from these deposits is used up, and half a retry is left when the second hop arrives.
    assert_eq!(client.send(&Request::get("/moved")).status, 200);
    envoy.wait_for_access_log(3);
    assert_eq!(count(&envoy, "retries_used"), 1);
    assert_eq!(count(&envoy, "inbound_retries"), 0);
    assert_eq!(count(&envoy, "deposits"), 4);
    // If a caller sends the headers of a redirect, its retries still count.
    let retry = Request::get("/")
        .header("x-envoy-attempt-count", "2")
        .header("x-envoy-original-url", "http://test.example/moved");
    client.send(&retry);
    assert_eq!(count(&envoy, "inbound_retries"), 1);
    envoy.assert_no_vm_failed();
}

/// A mirrored request runs through no filters, is not retried, and deposits nothing.
#[test]
fn a_mirrored_request_pays_once() {
    let mirror = Upstream::start(|_| Reply::new(503));
    let action = json!({
        "cluster": UPSTREAM, "request_mirror_policies": [{"cluster": "mirror"}],
    });
    let clusters = vec![bootstrap::cluster("mirror", mirror.address())];
    let budget = json!({"retry_on": "5xx", "max_retries": 1});
    let envoy = envoy(budget, action, clusters, |_| Reply::new(503));
    for _ in 0..3 {
        assert_eq!(envoy.client().send(&Request::get("/")).status, 503);
    }
    assert_eq!(count(&envoy, "deposits"), 3);
    // For the first request, the budget was empty.
    assert_eq!(count(&envoy, "retries_used"), 2);
    assert_eq!(envoy.upstream().requests().len(), 3 + 2);
    assert_eq!(mirror.wait_for_requests(3).len(), 3);
    envoy.assert_no_vm_failed();
}

/// A hedge is a second attempt while the first is still pending. The budget treats it as a retry.
#[test]
fn a_hedge_is_a_retry() {
    let action = json!({
        "cluster": UPSTREAM,
        "timeout": "5s",
        "retry_policy": {"retry_on": "5xx", "num_retries": 3, "per_try_timeout": "0.2s"},
        "hedge_policy": {"hedge_on_per_try_timeout": true},
    });
    let envoy = envoy(json!({"max_retries": 2}), action, Vec::new(), |_| {
        Reply::new(200).delay(Duration::from_millis(700))
    });
    let client = envoy.client();
    // The budget cannot pay for a hedge.
    let first = client.send(&Request::get("/"));
    let sent = envoy.upstream().requests().len();
    assert_eq!((first.status, sent), (200, 1));
    assert_eq!(count(&envoy, "retries_used"), 0);
    // One, although the route allows three.
    assert_eq!(client.send(&Request::get("/")).status, 200);
    assert_eq!(envoy.upstream().requests().len(), sent + 2);
    assert_eq!(count(&envoy, "retries_used"), 1);
    assert_eq!(count(&envoy, "deposits"), 2);
    envoy.assert_no_vm_failed();
}
