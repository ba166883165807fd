//! Responses from Envoy itself and from other filters.

use portcullis_envoy_tests::upstream::Reply;

use super::*;

const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const FAULT: &str = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault";
const BUFFER: &str = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer";
const CORS: &str = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors";
const CORS_POLICY: &str = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy";
const LOCAL_LIMIT: &str =
    "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
const EXT_AUTHZ: &str = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";

fn native(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = kind.into();
    json!({"name": name, "typed_config": config})
}

fn case(
    what: &'static str,
    path: &'static str,
    details: &'static str,
    author: &'static str,
) -> Case {
    Case {
        what,
        path,
        client: get(path),
        details,
        verdict: "neutral",
        author,
    }
}

#[test]
fn what_others_answer_is_theirs() {
    let prefix = |path: &str| json!({"url_path": {"path": {"prefix": path}}});
    let limit = json!({"name": "edge", "limits": [{"name": "one",
        "match": {"path": {"prefix": "/limited"}}, "rate": {"requests": 1, "per": "1h"}}]});
    let envoy = builder()
        .native(native(
            "rbac",
            RBAC,
            json!({"rules": {"action": "DENY", "policies": {"no": {
            "permissions": [prefix("/rbac")], "principals": [{"any": true}]}}}}),
        ))
        .native(native(
            "fault",
            FAULT,
            json!({
            "headers": [{"name": ":path", "string_match": {"prefix": "/fault"}}],
            "abort": {"http_status": 503, "percentage": {"numerator": 100}}}),
        ))
        .native(native("cors", CORS, json!({})))
        .native(native("buffer", BUFFER, json!({"max_request_bytes": 64})))
        .native(native(
            "local",
            LOCAL_LIMIT,
            json!({"stat_prefix": "local"}),
        ))
        .plugin(&PluginFilter::new("rate-limit").configuration(&limit.to_string()))
        .route(json!({"match": {"prefix": "/direct"}, "direct_response": {"status": 503}}))
        .route(json!({"match": {"prefix": "/redirected"}, "redirect": {"path_redirect": "/b"}}))
        .route(json!({"match": {"prefix": "/cluster"}, "route": {"cluster_header": "x-cluster"}}))
        .route(
            json!({"match": {"prefix": "/cors"}, "route": {"cluster": "upstream"},
            "typed_per_filter_config": {"cors": {"@type": CORS_POLICY,
                "allow_origin_string_match": [{"exact": "https://a.example"}]}}}),
        )
        .route(
            json!({"match": {"prefix": "/local"}, "route": {"cluster": "upstream"},
            "typed_per_filter_config": {"local": {"@type": LOCAL_LIMIT, "stat_prefix": "local",
                "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"},
                "filter_enabled": {"default_value": {"numerator": 100}},
                "filter_enforced": {"default_value": {"numerator": 100}}}}}),
        )
        .route(json!({"match": {"prefix": "/full"}, "route": {"cluster": "full"}}))
        .domain("test.example")
        .cluster(
            json!({"name": "full", "type": "STATIC", "connect_timeout": "1s",
            "circuit_breakers": {"thresholds": [{"max_requests": 0, "max_connections": 0,
                "max_pending_requests": 0}]},
            "load_assignment": {"cluster_name": "full", "endpoints": [{"lb_endpoints": [{"endpoint":
                {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}}]}]}}),
        )
        .upstream(|_| Reply::new(200))
        .start();
    let other_host = head("GET", "/nowhere", "").replace("test.example", "other.example");
    let preflight = Request::new("OPTIONS", "/cors")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "GET");
    envoy.client().send(&Request::get("/local0"));
    envoy.client().send(&Request::get("/limited0"));
    let with = |client, case: Case| Case { client, ..case };
    check(
        &envoy,
        vec![
            case("a direct response", "/direct", "direct_response", "envoy"),
            case(
                "a redirect of the route",
                "/redirected",
                "direct_response",
                "envoy",
            ),
            with(
                Client::Writes(vec![(0, other_host)]),
                case("no route", "/nowhere", "route_not_found", "envoy"),
            ),
            case("no cluster", "/cluster", "cluster_not_found", "envoy"),
            case(
                "Envoy's own circuit breaker",
                "/full",
                "upstream_reset_before_response_started{overflow}",
                "envoy",
            ),
            case("RBAC", "/rbac", "rbac_access_denied", "filter"),
            case("the fault filter", "/fault", "fault_filter_abort", "filter"),
            with(
                Client::Sends(preflight),
                case("CORS", "/cors", "cors_response", "filter"),
            ),
            with(
                Client::Sends(Request::post("/buffered", vec![b'x'; 100])),
                case(
                    "the buffer filter",
                    "/buffered",
                    "request_payload_too_large",
                    "client",
                ),
            ),
            case("local_ratelimit", "/local", "local_rate_limited", "filter"),
            case("our rate-limit", "/limited", "rate_limited", "filter"),
        ],
    );
}

/// Filters that would answer every request.
#[test]
fn what_filters_refuse_is_theirs() {
    let jwt = json!({"name": "edge", "providers": {"corp": {"issuer": "https://idp.example", "audiences": ["shop"],
        "jwks": {"inline": {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}}}},
        "rules": [{"name": "all", "require": {"provider": "corp"}}]});
    let jwt = PluginFilter::new("jwt-auth").configuration(&jwt.to_string());
    let envoy = builder().plugin(&jwt).start();
    check(&envoy, vec![case("our jwt-auth", "/jwt", "jwt_", "filter")]);

    let gone = native(
        "ext_authz",
        EXT_AUTHZ,
        json!({"transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "refusing"}, "timeout": "0.5s"}}),
    );
    let envoy = builder().native(gone).start();
    check(
        &envoy,
        vec![case(
            "ext_authz without its service",
            "/authz",
            "ext_authz_error",
            "filter",
        )],
    );
}
