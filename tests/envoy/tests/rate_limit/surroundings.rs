//! Names in Prometheus, the log, and gRPC over HTTP/2.

use std::collections::BTreeSet;

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use serde_json::{Value, json};

use super::plugin;

fn one_per_hour() -> Value {
    json!({
        "name": "edge",
        "limits": [{"name": "api/v1.x_y-z", "rate": {"requests": 1, "per": "1h"}},
            {"name": "trial", "rate": {"requests": 5, "per": "1m"}, "mode": "shadow"}],
    })
}

#[test]
fn prometheus_sees_labels() {
    let envoy = Envoy::builder().wasm(&plugin(&one_per_hour())).start();
    envoy.client().send(&Request::get("/"));
    envoy.client().send(&Request::get("/"));

    let text = envoy.prometheus();
    let lines: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("portcullis_"))
        .collect();

    for line in [
        r#"portcullis_rate_limit_admitted{policy="edge",limit="api/v1.x_y-z"} 1"#,
        r#"portcullis_rate_limit_occupancy{policy="edge",limit="api/v1.x_y-z"} 1"#,
        r#"portcullis_rate_limit_denied{policy="edge",limit="api/v1.x_y-z",reason="rate_limited"} 1"#,
        r#"portcullis_rate_limit_denied{policy="edge",limit="api/v1.x_y-z",reason="missing_key"} 0"#,
        r#"portcullis_rate_limit_shadow_denied{policy="edge",limit="trial",reason="rate_limited"} 0"#,
    ] {
        assert!(lines.contains(line), "{line} is not among {lines:#?}");
    }
}

#[test]
fn the_log_says_what_was_configured_in_one_line() {
    let envoy = Envoy::builder().wasm(&plugin(&one_per_hour())).start();

    let log = envoy.log();
    let said: BTreeSet<&str> = log
        .iter()
        .filter_map(|record| record.plugin_message())
        .collect();

    let line = format!(
        "portcullis rate_limit {} \"edge\": mode enforce, up to 1 MiB for keys, limits: api/v1.x_y-z (1 per 1h), trial (5 \
         per 1m, shadow)",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(said, BTreeSet::from([line.as_str()]));
}

#[test]
fn the_access_log_says_why() {
    let envoy = Envoy::builder().wasm(&plugin(&one_per_hour())).start();
    envoy.client().send(&Request::get("/"));
    envoy.client().send(&Request::get("/"));

    let entries = envoy.wait_for_access_log(2);

    let details: Vec<&str> = entries.iter().map(|entry| entry.details.as_str()).collect();
    assert_eq!(details, ["via_upstream", "rate_limited{api/v1.x_y-z}"]);
}

#[test]
fn grpc_over_http2_gets_its_status_in_the_headers() {
    let envoy = Envoy::builder().wasm(&plugin(&one_per_hour())).start();
    let call = Request::post("/shop.v1.Orders/List", "")
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    let client = envoy.http2_client();

    assert_eq!(client.send(&call).status, 200);
    let denied = client.send(&call);

    assert_eq!(denied.status, 200);
    assert_eq!(denied.header("grpc-status"), Some("8"));
    assert_eq!(denied.header("grpc-message"), Some("Too many requests%0A"));
    assert_eq!(denied.header("retry-after"), Some("3600"));
    assert!(denied.body.is_empty());
    assert_eq!(envoy.upstream().requests().len(), 1);
}
