//! Modules that Envoy fetches, as `docs/operations.md` describes them.

use std::fs;

use portcullis_envoy_tests::bootstrap::UPSTREAM;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::upstream::Reply;
use portcullis_envoy_tests::{artifacts, validate};
use serde_json::{Value, json};

const ONE_AN_HOUR: &str = r#"{"limits": [{"name": "all", "rate": {"requests": 1, "per": "1h"}}]}"#;
const REFUSED: &str = r#"{"limits": [{"name": "all", "rate": {"requests": 1, "per": "1y"}}]}"#;

fn filter(configuration: &str, failure_policy: &str) -> Value {
    let module = artifacts::module("rate_limit").with_extension("wasm.sha256");
    let line = fs::read_to_string(module).expect("`make build`");
    let sha256 = line.split_whitespace().next().expect("a sha256");
    json!({
        "name": "rate-limit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "rate-limit",
                "failure_policy": failure_policy,
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"remote": {
                        "http_uri": {"uri": "http://modules.example/rate_limit.wasm",
                                     "cluster": UPSTREAM, "timeout": "10s"},
                        "sha256": sha256,
                    }},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration,
                },
            },
        },
    })
}

/// The statuses of two requests.
fn statuses(configuration: &str, failure_policy: &str) -> [u16; 2] {
    let module = fs::read(artifacts::module("rate_limit")).expect("`make build`");
    let envoy = Envoy::builder()
        .native(filter(configuration, failure_policy))
        .upstream(move |request| match request.target.as_str() {
            "/rate_limit.wasm" => Reply::new(200).body(module.clone()),
            _ => Reply::new(200),
        })
        .start();
    [(); 2].map(|()| envoy.client().send(&Request::get("/")).status)
}

#[test]
fn envoy_accepts_what_a_plugin_refuses_if_it_fetches_the_module() {
    assert_eq!(statuses(ONE_AN_HOUR, "FAIL_RELOAD"), [200, 429]);
    assert_eq!(statuses(REFUSED, "FAIL_RELOAD"), [503, 503]);
    assert_eq!(statuses(REFUSED, "FAIL_OPEN"), [200, 200]);
}

#[test]
fn portcullis_validate_refuses_what_envoy_does_not_look_at() {
    let example = artifacts::repository().join("envoy/examples/remote-fetch.yaml");
    let text = fs::read_to_string(example).expect("the example");
    assert_eq!(validate::bootstrap(&text), Ok(()));

    let refused = validate::bootstrap(&text.replace(r#""per": "1m""#, r#""per": "1y""#));
    let said = refused.expect_err("a difference");
    assert!(
        said.contains(r#"$.limits[0].rate.per: found "1y""#),
        "{said}"
    );
    assert!(said.ends_with("Envoy: Ok(())"), "{said}");
}
