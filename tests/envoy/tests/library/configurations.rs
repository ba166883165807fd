//! Configurations that Envoy must refuse, with a reason, and survive.

use std::time::Duration;

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::{HttpFilter, LibraryFilter};
use portcullis_envoy_tests::message::Request;
use serde_json::{Value, json};

use super::is_wasm;

const PLUGINS: [&str; 6] = [
    "circuit-breaker",
    "jwt-auth",
    "portcullis",
    "rate-limit",
    "retry-budget",
    "security-headers",
];

/// The log of an Envoy that does not start with this filter.
fn refusal(filter: &impl HttpFilter) -> String {
    let started = Envoy::builder().plugin(filter).try_start();
    let Err(error) = started else {
        panic!("accepted: {}", filter.to_json());
    };
    assert!(error.has_ended(), "{error}");
    let log = error.to_string();
    assert!(log.contains("exit status: 1"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

#[test]
fn an_unknown_filter_name_is_refused_with_the_known_ones() {
    if is_wasm() {
        return;
    }
    for name in ["nothing", "RATE_LIMIT", "rate_limit ", "r\u{e4}te"] {
        let log = refusal(&LibraryFilter::plugin(name));
        let expected =
            format!("portcullis: filter_name: found {name:?}; expected the name of a plugin");
        assert!(log.contains(&expected), "{log}");
    }
}

#[test]
fn hostile_texts_are_refused_with_a_reason() {
    if is_wasm() {
        return;
    }
    let deep = "[".repeat(100_000);
    let texts = [
        "",
        " ",
        "null",
        "7",
        "[]",
        "{",
        "\u{0}",
        "{\"name\": \"\\ud800\"}",
        &deep,
    ];
    for plugin in PLUGINS {
        for text in texts {
            // All parts of this one are optional, and no text is an empty object.
            if plugin == "security-headers" && text.trim().is_empty() {
                continue;
            }
            let log = refusal(&LibraryFilter::plugin(plugin).configuration(text));
            let expected = format!(
                "portcullis {}: configuration refused:",
                plugin.replace('-', "_")
            );
            assert!(log.contains(&expected), "{plugin}, {text:.20}: {log}");
        }
    }
}

#[test]
fn a_filter_without_a_configuration_is_refused() {
    if is_wasm() {
        return;
    }
    struct Bare(Value);
    impl HttpFilter for Bare {
        fn to_json(&self) -> Value {
            self.0.clone()
        }
    }

    let mut filter = LibraryFilter::plugin("rate-limit").to_json();
    filter["typed_config"]["filter_config"] = Value::Null;
    let log = refusal(&Bare(filter));
    assert!(
        log.contains("portcullis rate_limit: configuration refused:"),
        "{log}"
    );
}

/// A `Struct` says the same as a text.
#[test]
fn a_struct_configures_a_filter() {
    if is_wasm() {
        return;
    }
    let message = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": {"name": "edge", "limits": [
            {"name": "all", "rate": {"requests": 1, "per": "1h"}, "burst": 1},
        ]},
    });
    let filter = LibraryFilter::plugin("rate-limit").configuration_any(message);
    let envoy = Envoy::builder().plugin(&filter).start();
    let send = || envoy.client().send(&Request::get("/")).status;
    assert_eq!([send(), send()], [200, 429]);
}

/// Pushes of refused configurations, one after the other, leave nothing behind that harms the accepted one.
#[test]
fn refused_pushes_leave_the_old_configuration_in_place() {
    if is_wasm() {
        return;
    }
    let with = |text: &str| {
        let filter = LibraryFilter::plugin("jwt-auth").configuration(text);
        Envoy::builder().plugin(&filter).replaceable_listeners()
    };
    let good = super::keys::remote("edge");
    let envoy = with(&good.to_string()).start();
    for round in 0..10 {
        let mut bad = good.clone();
        bad["rules"] = json!([{"name": "all", "require": {"provider": format!("p{round}")}}]);
        assert!(envoy.replace_listeners(&with(&bad.to_string())).is_err());
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(envoy.client().send(&Request::get("/public")).status, 200);
    assert_eq!(envoy.client().send(&Request::get("/")).status, 401);
}
