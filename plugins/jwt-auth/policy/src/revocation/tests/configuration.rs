//! Valid settings, and the errors of others.

use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::remote::{Freshness, View};
use portcullis_core::config;
use portcullis_core::time::Nanos;

fn read(value: Value) -> Result<RevocationConfig, String> {
    config::read(value.to_string().as_bytes()).map_err(|errors| errors.to_string())
}

#[test]
fn both_kinds_are_read() {
    let config = read(json!({
        "inline": [{"iss": IDP, "jti": "abc"}],
        "remote": {"cluster": "idp", "uri": "https://idp.example/revoked", "refresh": "1m",
            "timeout": "1s"}
    }))
    .unwrap();
    let list = RevocationList::inline(&config.inline, &seed());
    assert!(list.contains(IDP, "abc", NOW, SKEW));
    let remote = config.remote.unwrap();
    assert_eq!(remote.cluster.as_str(), "idp");
    assert_eq!(remote.uri.path(), "/revoked");
    assert_eq!(remote.schedule.refresh, Nanos::from_secs(60));
    assert_eq!(remote.schedule.timeout, Nanos::SECOND);
}

#[test]
fn nothing_is_required() {
    assert_eq!(read(json!({})), Ok(RevocationConfig::default()));
    assert_eq!(
        read(json!({"inline": [], "remote": null})),
        Ok(RevocationConfig::default())
    );
}

/// An old list is better than none.
#[test]
fn a_list_is_refreshed_often_and_never_expires() {
    let remote = json!({"cluster": "idp", "uri": "https://idp.example/revoked"});
    let schedule = read(json!({"remote": remote}))
        .unwrap()
        .remote
        .unwrap()
        .schedule;
    assert_eq!(schedule.refresh, Nanos::from_secs(30));
    assert_eq!(schedule.timeout, Nanos::from_secs(2));
    let list = View {
        generation: 1,
        body: b"{}",
        fetched_at: Nanos::new(1),
        failures: 100,
        was_malformed: false,
    };
    assert_eq!(
        list.freshness(&schedule, Nanos::MAX - Nanos::new(1)),
        Freshness::Stale
    );
}

#[test]
fn errors_name_the_place() {
    let errors = read(json!({
        "inline": [{"iss": "", "jti": "a"}, {"iss": IDP}, {"iss": IDP, "jti": "a", "exp": 1}],
        "remote": {"cluster": "", "uri": "/revoked", "refresh": "2d", "keep_stale": "1h"},
        "list": []
    }))
    .unwrap_err();
    let mut errors: Vec<_> = errors.lines().collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            "$.inline[0].iss: found \"\"; expected a string that is not empty",
            "$.inline[1]: required field \"jti\" is missing",
            "$.inline[2].exp: unknown field; allowed: iss, jti",
            "$.list: unknown field; allowed: inline, remote",
            "$.remote.cluster: found \"\"; expected the name of a cluster",
            "$.remote.keep_stale: unknown field; allowed: cluster, uri, headers, timeout, refresh",
            "$.remote.refresh: found \"2d\"; expected a duration from \"1s\" to \"1d\"",
            "$.remote.uri: found \"/revoked\"; expected an http or https URI such as \
             \"https://idp.example/.well-known/jwks.json\": it has no scheme",
        ]
    );
}
