//! Key sets: their entries together.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::keys::{rsa, secret};
use super::*;
use Algorithm::*;

#[test]
fn usable_keys_stay_when_others_are_skipped() {
    let keys = set(&[
        but(jwk(RS256), json!({"kid": "enc", "use": "enc"})),
        named(RS256, "a"),
        json!({"kty": "EC", "crv": "P-521", "kid": "p521"}),
        but(
            jwk(ES256),
            json!({"kid": "b", "x5c": ["MIIB"], "x5t": "AA", "unknown": {"a": [1]}}),
        ),
        json!(7),
    ])
    .unwrap();
    let ids: Vec<_> = keys.keys().iter().map(Key::id).collect();
    assert_eq!(ids, [Some("a"), Some("b")]);
    let skipped: Vec<String> = keys.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "keys[0] (kid \"enc\"): not for verifying signatures",
            "keys[2] (kid \"p521\"): unknown key type or curve",
            "keys[4]: not a key",
        ]
    );
}

#[test]
fn an_empty_set_is_an_error_of_its_own() {
    assert_eq!(set(&[]).err(), Some(KeySetError::Empty(vec![])));
    let error = set(&[json!({"kty": "oct", "kid": "s", "k": "AQ"})]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no usable key; keys[0] (kid \"s\"): too short to be safe"
    );
}

#[test]
fn an_invalid_set_is_refused() {
    let error = |text: &str| KeySet::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error("<html>"), KeySetError::Json(JsonError::Syntax));
    assert_eq!(error("[]"), KeySetError::Json(JsonError::NotAnObject));
    assert_eq!(error("{}"), KeySetError::NoKeys);
    assert_eq!(error(r#"{"keys":{}}"#), KeySetError::NoKeys);
    assert_eq!(error(&jwk(ES256).to_string()), KeySetError::NoKeys);
    assert_eq!(
        error(r#"{"keys":[{"kty":"oct","kty":"EC"}]}"#),
        KeySetError::Json(JsonError::DuplicateMember)
    );
    let long = format!(
        r#"{{"keys":[{}],"x":"{}"}}"#,
        jwk(ES256),
        "x".repeat(MAX_SET)
    );
    assert_eq!(error(&long), KeySetError::TooLong);
    let many = vec![json!(1); MAX_KEYS + 1];
    assert_eq!(set(&many).err(), Some(KeySetError::TooManyKeys));
}

/// Cases F3 and F4 (RFC 7517 §4.5).
#[test]
fn the_algorithm_distinguishes_keys_with_one_kid() {
    let rs256 = but(named(RS256, "a"), json!({"alg": "RS256"}));
    let ps256 = but(named(RS256, "a"), json!({"alg": "PS256"}));
    let keys = set(&[rs256.clone(), ps256, named(ES256, "a"), rs256.clone()]).unwrap();
    assert_eq!(keys.keys().len(), 3, "identical entries count once");
    assert_eq!(keys.skipped(), []);
    // An unusable entry counts as absent.
    let encryption = but(named(RS256, "a"), json!({"use": "enc"}));
    let keys = set(&[encryption, named(ES256, "a")]).unwrap();
    assert_eq!(keys.keys().len(), 1);
    // Two that fit the same tokens do not make the set invalid.
    let other = but(other_rsa(), json!({"kid": "a"}));
    let keys = set(&[rs256, other, named(ES256, "b")]).unwrap();
    assert_eq!(keys.keys().len(), 3);
    let skipped: Vec<String> = keys.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "keys[1] (kid \"a\"): another key has its kid and fits the same tokens, which are refused"
        ]
    );
}

fn other_rsa() -> Value {
    rsa(&[&vec![0xff; 255][..], &[1]].concat())
}

/// Case F8.
#[test]
fn a_large_set_is_read() {
    let mut keys: Vec<Value> = (0..150)
        .map(|i| {
            but(
                jwk(ES256),
                json!({"kid": format!("key-{i}"), "x5c": ["M".repeat(600)]}),
            )
        })
        .collect();
    keys.push(jwk(RS256));
    let text = json!({ "keys": keys }).to_string();
    assert!(text.len() > 110_000, "{}", text.len());
    assert_eq!(KeySet::parse(text.as_bytes()).unwrap().keys().len(), 151);
}

/// Case F5.
#[test]
fn keys_for_other_uses_can_be_named() {
    let bundle = json!({"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": [
        but(jwk(RS256), json!({"use": "x509-svid", "x5c": ["MIIB"]})),
        but(named(ES256, "a"), json!({"use": "jwt-svid"})),
        but(named(ES256, "b"), json!({"use": "enc"})),
        but(named(ES256, "c"), json!({"use": "sig"})),
        named(ES256, "d"),
    ]})
    .to_string();
    let ids = |uses: &[&str]| {
        let uses: Vec<String> = uses.iter().map(|name| (*name).to_owned()).collect();
        let keys = KeySet::parse_for(bundle.as_bytes(), &uses).unwrap();
        let ids = keys.keys().iter().filter_map(Key::id);
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["jwt-svid"]), ["a", "d"]);
    assert_eq!(ids(&["sig", "jwt-svid"]), ["a", "c", "d"]);
}

#[test]
fn secrets_do_not_mix_with_public_keys() {
    assert_eq!(
        set(&[jwk(HS256), jwk(RS256)]).err(),
        Some(KeySetError::Mixed)
    );
    assert!(set(&[jwk(HS256), secret(32)]).unwrap().is_symmetric());
    assert!(!set(&[jwk(RS256), jwk(ES256)]).unwrap().is_symmetric());
}

#[test]
fn secrets_stay_out_of_logs() {
    let keys = set(&[named(HS256, "s")]).unwrap();
    assert_eq!(
        format!("{:?}", keys.keys()),
        r#"[Key { id: Some("s"), algorithms: [HS256, HS384, HS512], .. }]"#
    );
}

#[test]
fn a_configuration_can_have_a_set() {
    let keys: KeySet = serde_json::from_value(json!({"keys": [jwk(ES256)]})).unwrap();
    assert_eq!(keys.algorithms(), [ES256]);
    let error = serde_json::from_value::<KeySet>(json!({"keys": []})).unwrap_err();
    assert_eq!(error.to_string(), "no usable key");
}
