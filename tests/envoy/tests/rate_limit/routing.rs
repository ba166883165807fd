//! Requests that Envoy sends more than once: internal redirects, mirrors, retries and hedges.

use std::time::Duration;

use portcullis_envoy_tests::bootstrap::{self, UPSTREAM};
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::{count, plugin};

/// An Envoy with a limit of five an hour, and one route for everything.
fn envoy(action: Value, clusters: Vec<Value>, answer: fn(&Request) -> Reply) -> Envoy {
    let limit = json!({"name": "all", "rate": {"requests": 5, "per": "1h"}});
    let limits = json!({"name": "edge", "limits": [limit]});
    let builder = Envoy::builder().upstream(answer).plugin(&plugin(&limits));
    let route = json!({"match": {"prefix": "/"}, "route": action});
    let builder = clusters
        .into_iter()
        .fold(builder, |it, cluster| it.cluster(cluster));
    builder.route(route).start()
}

fn statuses(envoy: &Envoy, path: &str, requests: usize) -> Vec<u16> {
    let client = envoy.client();
    let send = |_| client.send(&Request::get(path)).status;
    (0..requests).map(send).collect()
}

/// Each hop is a request of its own.
#[test]
fn each_hop_of_an_internal_redirect_counts() {
    let action = json!({"cluster": UPSTREAM, "internal_redirect_policy": {}});
    let envoy = envoy(action, Vec::new(), |request| {
        match request.target.as_str() {
            "/moved" => Reply::new(302).header("location", "http://test.example/new"),
            _ => Reply::new(200),
        }
    });
    // Two each; the third reaches its second hop, which is over the limit.
    assert_eq!(statuses(&envoy, "/moved", 4), [200, 200, 429, 429]);
    assert_eq!(count(&envoy, "all", "admitted"), 5);
    assert_eq!(envoy.upstream().requests().len(), 5);
    envoy.assert_no_vm_failed();
}

/// A mirrored request runs through no filters.
#[test]
fn a_mirrored_request_counts_once() {
    let mirror = Upstream::start(|_| Reply::new(200));
    let action = json!({
        "cluster": UPSTREAM, "request_mirror_policies": [{"cluster": "mirror"}],
    });
    let clusters = vec![bootstrap::cluster("mirror", mirror.address())];
    let envoy = envoy(action, clusters, |_| Reply::new(200));
    assert_eq!(statuses(&envoy, "/", 6), [200, 200, 200, 200, 200, 429]);
    assert_eq!(mirror.wait_for_requests(5).len(), 5);
    envoy.assert_no_vm_failed();
}

/// However often Envoy sends it.
#[test]
fn a_request_that_is_retried_or_hedged_counts_once() {
    let action = json!({
        "cluster": UPSTREAM,
        "retry_policy": {
            "retry_on": "5xx", "num_retries": 2, "per_try_timeout": "0.1s",
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
        },
        "hedge_policy": {"hedge_on_per_try_timeout": true},
    });
    let envoy = envoy(action, Vec::new(), |request| {
        match request.target.as_str() {
            "/late" => Reply::new(200).delay(Duration::from_millis(300)),
            _ => Reply::new(503),
        }
    });
    assert_eq!(statuses(&envoy, "/", 3), [503, 503, 503]);
    assert_eq!(envoy.upstream().requests().len(), 9);
    assert_eq!(statuses(&envoy, "/late", 3), [200, 200, 429]);
    assert_eq!(envoy.upstream().requests().len(), 9 + 6);
    envoy.assert_no_vm_failed();
}
