//! Valid settings, and the errors of others.

use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::config;

const URI: &str = "https://idp.example/keys";

fn read(source: Value) -> Result<Source, String> {
    config::read(source.to_string().as_bytes()).map_err(|errors| errors.to_string())
}

/// A source with one more field.
fn with(field: &str, value: &str) -> Result<Source, String> {
    let mut source = json!({"cluster": "idp", "uri": URI});
    source[field] = value.into();
    read(source)
}

#[test]
fn all_fields_are_read() {
    let source = read(json!({
        "cluster": "outbound|443||idp.example", "uri": URI, "timeout": "250ms", "refresh": "1m",
        "keep_stale": "0s", "min_refetch_interval": "5s"
    }));
    let source = source.unwrap();
    assert_eq!(source.cluster.as_str(), "outbound|443||idp.example");
    assert_eq!(source.uri.to_string(), URI);
    assert_eq!(
        source.schedule,
        Schedule {
            refresh: MINUTE,
            keep_stale: Nanos::ZERO,
            min_refetch_interval: SECOND * 5,
            timeout: MILLISECOND * 250,
        }
    );
}

#[test]
fn the_intervals_have_defaults() {
    let source = read(json!({"cluster": "idp", "uri": URI})).unwrap();
    assert_eq!(source.schedule, SCHEDULE);
}

#[test]
fn intervals_have_bounds() {
    for (field, least, most, below, above) in [
        ("timeout", "1ms", "1m", "0s", "60001ms"),
        ("refresh", "1s", "30d", "999ms", "31d"),
        ("keep_stale", "0s", "365d", "", "366d"),
        ("min_refetch_interval", "1s", "1d", "0s", "25h"),
    ] {
        for valid in [least, most] {
            assert!(with(field, valid).is_ok(), "{field} {valid}");
        }
        for invalid in [below, above] {
            if !invalid.is_empty() {
                assert_eq!(
                    with(field, invalid).unwrap_err(),
                    format!(
                        "$.{field}: found \"{invalid}\"; expected a duration from \"{least}\" to \
                         \"{most}\""
                    )
                );
            }
        }
    }
}

#[test]
fn cluster_and_uri_are_required_and_nothing_else_is_known() {
    assert_eq!(
        read(json!({"uri": URI})).unwrap_err(),
        r#"$: required field "cluster" is missing"#
    );
    assert_eq!(
        read(json!({"cluster": "idp"})).unwrap_err(),
        r#"$: required field "uri" is missing"#
    );
    assert_eq!(
        with("cluster", "").unwrap_err(),
        r#"$.cluster: found ""; expected the name of a cluster"#
    );
    assert_eq!(
        with("refetch", "1s").unwrap_err(),
        "$.refetch: unknown field; allowed: cluster, uri, headers, timeout, refresh, keep_stale, \
         min_refetch_interval"
    );
}

#[test]
fn the_identity_is_where_a_document_comes_from() {
    let source = |cluster: &str, uri: &str, refresh: &str| {
        let source = json!({"cluster": cluster, "uri": uri, "refresh": refresh});
        read(source).unwrap().identity()
    };
    let identity = source("idp", URI, "1m");
    assert_eq!(identity, source("idp", URI, "2m"));
    assert_eq!(
        identity,
        source("idp", "HTTPS://IDP.example:443/keys", "1m")
    );
    assert_ne!(identity, source("idp2", URI, "1m"));
    assert_ne!(identity, source("idp", "https://idp.example/keys/", "1m"));
    assert_ne!(identity, source("idp", "http://idp.example/keys", "1m"));
}
