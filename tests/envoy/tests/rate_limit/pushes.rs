//! The effect of a new configuration on the counts.

use std::time::Instant;

use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::PATIENCE;
use serde_json::{Value, json};

use super::builder;

/// An Envoy with these limits. `burst` is that of the first, which has 100 per hour.
fn with(burst: usize, others: &[Value]) -> Builder {
    let mut limits = vec![json!({
        "name": "kept", "key": [{"header": "x-api-key"}], "burst": burst,
        "rate": {"requests": 100, "per": "1h"}, "cost": {"header": "x-cost"},
    })];
    limits.extend_from_slice(others);
    let config = json!({"name": "edge", "limits": limits, "response_headers": ["ratelimit"]});
    builder(&config).replaceable_listeners()
}

fn send(envoy: &Envoy, cost: usize) -> (u16, String) {
    let request = Request::get("/")
        .header("x-api-key", "a")
        .header("x-cost", cost.to_string());
    let response = envoy.client().send(&request);
    let fields = ["ratelimit-policy", "ratelimit"].map(|name| response.header(name));
    (
        response.status,
        fields.map(Option::unwrap_or_default).join(" "),
    )
}

/// Pushes, and waits until all workers have it: for 200 connections in a row.
fn push(envoy: &Envoy, next: &Builder, shown: &str) {
    assert_eq!(envoy.replace_listeners(next), Ok(()));
    let started = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 200 {
        // It costs nothing, so it only reports the key's state.
        let (_, fields) = send(envoy, 0);
        in_a_row = match fields.contains(shown) {
            true => in_a_row + 1,
            false => 0,
        };
        assert!(started.elapsed() < PATIENCE, "{fields}");
    }
}

#[test]
fn a_push_keeps_the_counts_of_limits_that_mean_the_same() {
    let envoy = with(10, &[]).start();
    assert_eq!(send(&envoy, 8).0, 200);

    let another = json!({"name": "another", "rate": {"requests": 1000, "per": "1h"}});
    push(&envoy, &with(10, &[another]), "\"another\"");

    // 8 of 10 were used before the push.
    let (status, fields) = send(&envoy, 3);
    assert_eq!(status, 429, "{fields}");
    assert_eq!(send(&envoy, 2).0, 200);

    // The meaning of a count does not depend on the burst: with 2 more, there is room for 2 more.
    push(&envoy, &with(12, &[]), "portcullis-burst=12");
    assert_eq!(send(&envoy, 3).0, 429);
    assert_eq!(send(&envoy, 2).0, 200);
    envoy.assert_no_vm_failed();
}
