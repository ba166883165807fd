//! Members of keys.

use portcullis_scenarios::tokens::{Algorithm, Key};
use serde_json::{Value, json};

use super::super::difference::*;
use super::{Case, es256, jwk, jwk_without, rs256, set, signed};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = absent();
    cases.extend(uses());
    cases.extend(types());
    cases.extend(algorithms());
    cases
}

fn with(members: Value) -> String {
    set([jwk(&rs256(), members)])
}

fn absent() -> Vec<Case> {
    let token = signed(&rs256());
    vec![
        Case::good(
            "members that are null",
            with(
                json!({"use": null, "alg": null, "crv": null, "key_ops": null, "x5c": null, "d": null}),
            ),
            &token,
        ),
        Case::good(
            "members that are empty",
            with(json!({"use": "", "alg": "", "key_ops": [], "x5c": [], "x5t": ""})),
            &token,
        ),
        Case::good("a kid that is null", with(json!({"kid": null})), &token),
        Case::good("a kid that is empty", with(json!({"kid": ""})), &token),
        Case::good(
            "no use, no alg, no kid",
            set([jwk_without(&rs256(), &["use", "alg", "kid"])]),
            &token,
        ),
        Case::unusable("no kty", set([jwk_without(&rs256(), &["kty"])])),
        Case::unusable("kty in small letters", with(json!({"kty": "rsa"}))),
        Case::unusable("kty that is null", with(json!({"kty": null}))),
        Case::unusable("an unknown kty", with(json!({"kty": "AKP"}))),
        Case::unusable(
            "entries that are no objects",
            set([json!(1), json!("x"), json!([])]),
        ),
        Case::good(
            "entries that are no objects beside a key",
            set([json!(1), json!("x"), rs256().jwk(), Value::Null]),
            &token,
        ),
        Case::good(
            "a key of an unknown type beside a key",
            set([json!({"kty": "AKP", "kid": "x"}), rs256().jwk()]),
            &token,
        ),
    ]
}

fn uses() -> Vec<Case> {
    let token = signed(&rs256());
    let strict = |name, members| Case::stricter(name, with(members), &token, USE);
    vec![
        strict("use enc", json!({"use": "enc"})),
        strict("use jwt-svid", json!({"use": "jwt-svid"})),
        strict("use SIG", json!({"use": "SIG"})),
        strict("key_ops sign", json!({"key_ops": ["sign"]})),
        Case::good(
            "key_ops verify",
            with(json!({"key_ops": ["verify"]})),
            &token,
        ),
        Case::good(
            "key_ops verify among others",
            with(json!({"key_ops": ["sign", "verify"]})),
            &token,
        ),
        Case::stricter("a private key", with(json!({"d": "AQAB"})), &token, PRIVATE),
    ]
}

fn types() -> Vec<Case> {
    let token = signed(&rs256());
    let strict = |name, members| Case::stricter(name, with(members), &token, MEMBER_TYPES);
    vec![
        strict("a kid of a key that is a number", json!({"kid": 1})),
        strict("an alg of a key that is a number", json!({"alg": 1})),
        strict("a use that is a number", json!({"use": 1})),
        strict("a use that is an array", json!({"use": ["sig"]})),
        strict("key_ops that are a text", json!({"key_ops": "verify"})),
        strict("key_ops with a number", json!({"key_ops": ["verify", 1]})),
        Case::unusable("a kty that is a number", with(json!({"kty": 1}))),
        Case::unusable("an n that is a number", with(json!({"n": 1}))),
    ]
}

fn algorithms() -> Vec<Case> {
    let key = |algorithm| Key::new(algorithm, 1);
    let nameless = |algorithm| set([jwk_without(&key(algorithm), &["alg"])]);
    let alone = |algorithm| set([key(algorithm).jwk()]);
    let pss = key(Algorithm::PS256);
    let eddsa = key(Algorithm::EdDSA);
    let es384 = key(Algorithm::ES384);
    let secret = key(Algorithm::HS256);
    vec![
        Case::good(
            "RS256 without alg",
            nameless(Algorithm::RS256),
            &signed(&rs256()),
        ),
        Case::good(
            "RS512 without alg",
            nameless(Algorithm::RS512),
            &signed(&key(Algorithm::RS512)),
        ),
        Case::good(
            "ES256 without alg",
            nameless(Algorithm::ES256),
            &signed(&es256()),
        ),
        Case::good(
            "ES384 without alg",
            nameless(Algorithm::ES384),
            &signed(&es384),
        ),
        Case::refused("PS256", alone(Algorithm::PS256), &signed(&pss), SLOW),
        Case::refused(
            "PS256 without alg",
            nameless(Algorithm::PS256),
            &signed(&pss),
            SLOW,
        ),
        Case::refused("EdDSA", alone(Algorithm::EdDSA), &signed(&eddsa), SLOW),
        Case::refused(
            "EdDSA without alg",
            nameless(Algorithm::EdDSA),
            &signed(&eddsa),
            SLOW,
        ),
        Case::refused(
            "a secret",
            alone(Algorithm::HS256),
            &signed(&secret),
            SECRETS,
        ),
        Case::stricter(
            "a secret and a public key",
            set([secret.jwk(), rs256().jwk()]),
            &signed(&rs256()),
            SECRETS,
        ),
        Case::bad(
            "RSA for encryption, by its alg only",
            set([
                jwk(&rs256(), json!({"alg": "RSA-OAEP"})),
                Key::new(Algorithm::RS256, 2).jwk(),
            ]),
            &signed(&rs256()),
        ),
        Case::unusable(
            "an elliptic key with alg RS256",
            set([jwk(&es256(), json!({"alg": "RS256"}))]),
        ),
        Case::unusable(
            "an elliptic key with alg ES384",
            set([jwk(&es256(), json!({"alg": "ES384"}))]),
        ),
        Case::odd("p256-for-rs256", (401, 200), Some(ALGORITHM)),
        Case::odd("p256-for-es384", (401, 200), Some(ALGORITHM)),
        Case::odd("es512", (401, 200), Some(ES512)),
        Case::odd("es256k", (401, 401), None),
    ]
}
