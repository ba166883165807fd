//! The plugin with other parts of Envoy: Prometheus, the log, gRPC over HTTP/2, CORS.

use std::collections::BTreeSet;

use portcullis_envoy_tests::bootstrap::UPSTREAM;
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
    let envoy = Envoy::builder().plugin(&plugin(&one_per_hour())).start();
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
    let envoy = Envoy::builder().plugin(&plugin(&one_per_hour())).start();

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
    let envoy = Envoy::builder().plugin(&plugin(&one_per_hour())).start();
    envoy.client().send(&Request::get("/"));
    envoy.client().send(&Request::get("/"));

    let entries = envoy.wait_for_access_log(2);

    let details: Vec<&str> = entries.iter().map(|entry| entry.details.as_str()).collect();
    assert_eq!(details, ["via_upstream", "rate_limited{api/v1.x_y-z}"]);
}

#[test]
fn grpc_over_http2_gets_its_status_in_the_headers() {
    let envoy = Envoy::builder().plugin(&plugin(&one_per_hour())).start();
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

/// HTTP/2 clients send each cookie in its own field.
#[test]
fn a_cookie_is_the_same_in_a_field_of_its_own() {
    let limit = json!({"name": "session", "key": [{"cookie": "session"}], "missing": "deny",
        "rate": {"requests": 2, "per": "1h"}});
    let limits = json!({"name": "edge", "limits": [limit]});
    let envoy = Envoy::builder().plugin(&plugin(&limits)).start();
    for (client, user) in [(envoy.client(), "a"), (envoy.http2_client(), "b")] {
        let session = format!("session={user}");
        let crumbs = Request::get("/")
            .header("cookie", "lang=de")
            .header("cookie", session.clone())
            .header("cookie", "theme=x");
        let whole = Request::get("/").header("cookie", format!("lang=de; {session}"));
        let statuses = [&crumbs, &whole, &crumbs].map(|request| client.send(request).status);
        assert_eq!(statuses, [200, 200, 429], "{user}");
    }
}

/// In front of the plugin, Envoy's CORS filter answers preflights, and allows pages to read the denial.
#[test]
fn behind_the_cors_filter_preflights_are_free_and_denials_can_be_read() {
    const APP: &str = "https://app.example";
    let policy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": APP}],
        "allow_methods": "GET",
        "expose_headers": "ratelimit",
    });
    let filter = json!({"name": "cors", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}});
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": UPSTREAM},
        "typed_per_filter_config": {"cors": policy}});
    let mut limits = one_per_hour();
    limits["response_headers"] = json!(["ratelimit"]);
    let envoy = Envoy::builder()
        .native(filter)
        .plugin(&plugin(&limits))
        .route(route)
        .start();
    let client = envoy.client();
    let preflight = Request::new("OPTIONS", "/")
        .header("origin", APP)
        .header("access-control-request-method", "GET");
    for _ in 0..3 {
        assert_eq!(client.send(&preflight).status, 200);
    }
    let request = Request::get("/").header("origin", APP);
    assert_eq!(client.send(&request).status, 200);
    let denied = client.send(&request);
    assert_eq!(denied.status, 429);
    assert_eq!(denied.header("access-control-allow-origin"), Some(APP));
    assert_eq!(
        denied.header("access-control-expose-headers"),
        Some("ratelimit")
    );
    assert!(denied.header("ratelimit").is_some());
}

/// Some load balancers add ports. Envoy then uses the address of the load balancer itself.
#[test]
fn addresses_with_ports_in_x_forwarded_for_share_a_bucket() {
    let limit =
        json!({"name": "client", "key": ["remote_address"], "rate": {"requests": 1, "per": "1h"}});
    let limits = json!({"name": "edge", "limits": [limit]});
    let envoy = Envoy::builder()
        .plugin(&plugin(&limits))
        .connection_manager(json!({"use_remote_address": false}))
        .start();
    let status = |address: &str| {
        let request = Request::get("/").header("x-forwarded-for", address);
        envoy.client().send(&request).status
    };
    assert_eq!(status("203.0.113.7"), 200);
    assert_eq!(status("203.0.113.8"), 200);
    let with_ports = [
        "203.0.113.7:51234",
        "203.0.113.9:51234",
        "[2001:db8::1]:443",
    ]
    .map(status);
    assert_eq!(with_ports, [200, 429, 429]);
}
