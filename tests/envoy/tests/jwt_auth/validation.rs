//! Warnings of `envoy --mode validate` about configurations that load but do not fully work.

use portcullis_envoy_tests::validate;
use portcullis_scenarios::tokens::{Algorithm, Key};
use serde_json::{Map, Value, json};

use super::{ISSUER, plugin};

/// Each unusable key is named, with the reason.
#[test]
fn inline_keys_that_are_not_used_are_named() {
    let key = |number, members: Value| {
        let mut jwk = Key::new(Algorithm::RS256, number).jwk();
        for (name, value) in members.as_object().expect("members") {
            jwk[name] = value.clone();
        }
        jwk
    };
    let inline = json!({"keys": [
        key(1, json!({})),
        key(2, json!({"use": "enc"})),
        key(2, json!({"kid": "other", "kty": "AKP"})),
        key(2, json!({"kid": "short", "n": "AQAB"})),
        key(2, json!({"kid": "private", "d": "AQAB"})),
        key(2, json!({"kid": "rs256-1"})),
        1,
    ]});
    let warnings = validate::warnings(&plugin(&json!({
        "name": "edge",
        "providers": {"corp": {"issuer": ISSUER, "jwks": {"inline": inline}}},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
    })));
    let said = [
        "keys[1] (kid \"rs256-2\"): not for verifying signatures",
        "keys[2] (kid \"other\"): unknown key type or curve",
        "keys[3] (kid \"short\"): too short to be safe",
        "keys[4] (kid \"private\"): a private key",
        "keys[5] (kid \"rs256-1\"): another key has its kid and fits the same tokens, which are refused",
        "keys[6]: not a key",
    ]
    .map(|why| format!("portcullis jwt_auth: keys of corp: not used: {why}"));
    for line in &said {
        assert!(warnings.contains(line), "{line} is not in {warnings:#?}");
    }
    assert!(
        warnings.iter().all(|line| said.contains(line)),
        "nothing else is wrong: {warnings:#?}"
    );
}

/// No token has such a claim `iss`, so all would be refused.
#[test]
fn an_issuer_that_no_token_has_is_refused() {
    let with = |issuers: &[Value]| {
        let provider = |(number, issuer)| {
            let jwks = json!({"inline": {"keys": [Key::new(Algorithm::RS256, 1).jwk()]}});
            (
                format!("p{number}"),
                json!({"issuer": issuer, "jwks": jwks}),
            )
        };
        plugin(&json!({
            "name": "edge",
            "providers": issuers.iter().enumerate().map(provider).collect::<Map<_, _>>(),
            "rules": [{"name": "all", "require": {"provider": "p0"}}],
        }))
    };
    let wrong = [
        json!("https://login.example/{tenant}/v2.0"),
        json!("https://login.example/{tenantid}/{tenantid}"),
        json!("{tenantid}"),
        json!("https://*.example"),
        json!("*"),
        json!("https://idp.example/}"),
    ];
    let errors = validate::plugin(&with(&wrong)).expect_err("no token has these");
    for (number, issuer) in wrong.iter().enumerate() {
        let error = format!("\n$.providers.p{number}.issuer: found {issuer}; expected ");
        assert!(errors.contains(&error), "{error} is not in {errors}");
    }
    let right = [json!("https://login.example/{tenantid}/v2.0"), json!(null)];
    assert_eq!(validate::warnings(&with(&right)), Vec::<String>::new());
}
