//! The plugin with other parts of Envoy: the CORS filter, and routes that depend on its headers.

use portcullis_envoy_tests::bootstrap::UPSTREAM;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use serde_json::{Value, json};

use super::{ISSUER, plugin};

const ORIGIN: &str = "https://shop.example";

fn configuration(issuer: &Issuer) -> Value {
    json!({
        "name": "edge",
        "bypass_cors_preflight": false,
        "providers": {"corp": {
            "issuer": ISSUER,
            "jwks": {"inline": issuer.jwks()},
        }},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
    })
}

fn cors() -> Value {
    json!({
        "name": "envoy.filters.http.cors",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"},
    })
}

/// Everything, for scripts of [`ORIGIN`].
fn route() -> Value {
    json!({
        "match": {"prefix": "/"},
        "route": {"cluster": UPSTREAM},
        "typed_per_filter_config": {"envoy.filters.http.cors": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{"exact": ORIGIN}],
            "allow_methods": "GET",
        }},
    })
}

/// The statuses of a preflight and of a request without a token, and whether a script may read the latter's response.
fn answers(envoy: &Envoy) -> (u16, u16, bool) {
    let preflight = Request::new("OPTIONS", "/")
        .header("origin", ORIGIN)
        .header("access-control-request-method", "GET");
    let refused = envoy
        .client()
        .send(&Request::get("/").header("origin", ORIGIN));
    let allowed = refused.header("access-control-allow-origin");
    (
        envoy.client().send(&preflight).status,
        refused.status,
        allowed == Some(ORIGIN),
    )
}

#[test]
fn envoy_s_cors_filter_stands_before_jwt_auth() {
    let issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let plugin = plugin(&configuration(&issuer));
    let before = Envoy::builder()
        .native(cors())
        .plugin(&plugin)
        .route(route())
        .start();
    let behind = Envoy::builder()
        .plugin(&plugin)
        .native(cors())
        .route(route())
        .start();

    assert_eq!(answers(&before), (200, 401, true));
    assert_eq!(answers(&behind), (401, 401, false));
}

/// As `docs/operations.md` says.
#[test]
fn whoever_writes_a_route_can_switch_the_plugin_off_there() {
    let issuer = Issuer::new(ISSUER, Algorithm::ES256);
    let envoy = Envoy::builder()
        .plugin(&plugin(&configuration(&issuer)))
        .route(json!({
            "match": {"prefix": "/open"},
            "route": {"cluster": UPSTREAM},
            "typed_per_filter_config": {"jwt-auth": {
                "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
                "disabled": true,
            }},
        }))
        .start();

    assert_eq!(envoy.client().send(&Request::get("/open")).status, 200);
    assert_eq!(envoy.client().send(&Request::get("/")).status, 401);
}
