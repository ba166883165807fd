//! Replies of plugins: in a chain of filters, over gRPC, and in the access log, the same as with WebAssembly.

use portcullis_envoy_tests::access_log::AccessLogEntry;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::{HttpFilter, LibraryFilter, WasmFilter};
use portcullis_envoy_tests::message::{Request, Response};
use serde_json::{Value, json};

use super::is_wasm;

/// Filters in the order of a chain.
fn chain() -> Vec<(&'static str, Value)> {
    vec![
        (
            "security-headers",
            json!({"name": "edge", "preset": "helmet"}),
        ),
        (
            "rate-limit",
            json!({"name": "edge", "response_headers": ["ratelimit"], "limits": [
                {"name": "all", "rate": {"requests": 1, "per": "1h"}, "burst": 1},
            ]}),
        ),
        (
            "circuit-breaker",
            json!({"name": "edge", "breakers": [{"name": "all", "failure_rate": 50}]}),
        ),
    ]
}

fn envoy_with(filters: &[impl HttpFilter]) -> Envoy {
    let builder = Envoy::builder().concurrency(1);
    let builder = filters
        .iter()
        .fold(builder, |builder, filter| builder.plugin(filter));
    builder.start()
}

fn on_library() -> Envoy {
    let filter = |(name, config): (&str, Value)| {
        LibraryFilter::plugin(name).configuration(&config.to_string())
    };
    envoy_with(&chain().into_iter().map(filter).collect::<Vec<_>>())
}

fn on_wasm() -> Envoy {
    let filter =
        |(name, config): (&str, Value)| WasmFilter::plugin(name).configuration(&config.to_string());
    envoy_with(&chain().into_iter().map(filter).collect::<Vec<_>>())
}

/// An admitted request, then one that is denied; with what the log says about the second.
fn denied(envoy: &Envoy, request: &Request) -> (Response, AccessLogEntry) {
    assert_eq!(envoy.http2_client().send(request).status, 200);
    let response = envoy.http2_client().send(request);
    let log = envoy.wait_for_access_log(2).remove(1);
    (response, log)
}

/// What must be equal: everything but the time and the order of header fields.
fn comparable((response, log): (Response, AccessLogEntry)) -> String {
    let headers = response.headers.iter().filter(|(name, _)| *name != b"date");
    let mut headers: Vec<String> = headers
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    // Over gRPC, Envoy adds `content-type` before or after our `grpc-status`.
    headers.sort_unstable();
    let body = response.text();
    format!(
        "{} {headers:#?} {body:?} {:?}\n{log:#?}",
        response.status, response.trailers
    )
}

#[test]
fn a_denial_in_a_chain_is_the_same_as_with_webassembly() {
    if is_wasm() {
        return;
    }
    let plain = Request::get("/");
    let grpc = Request::post("/shop.Cart/Add", "\0\0\0\0\0")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for request in [plain, grpc] {
        let library = comparable(denied(&on_library(), &request));
        let wasm = comparable(denied(&on_wasm(), &request));

        assert_eq!(library, wasm);
        assert!(library.contains("x-content-type-options"), "{library}");
    }
}
