//! The keys themselves, and how they are written.

use portcullis_scenarios::tokens::{Algorithm, Key};
use serde_json::{Value, json};

use super::super::difference::*;
use super::{Case, es256, jwk, jwk_without, rs256, set, signed};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = rsa();
    cases.extend(elliptic());
    cases.push(Case::odd("certificates", (503, 200), Some(CERTIFICATES)));
    cases
}

/// A member of a key that is text.
fn member(key: &Key, name: &str) -> String {
    key.jwk()[name].as_str().expect("a text").to_owned()
}

fn rsa() -> Vec<Case> {
    let key = rs256();
    let token = signed(&key);
    let with = |members: Value| set([jwk(&key, members)]);
    let n = member(&key, "n");
    let half = &n[..n.len() / 2];
    let rest = &n[half.len()..];
    let strict = |name, n: String| Case::stricter(name, with(json!({ "n": n })), &token, SPELLING);
    vec![
        Case::odd("rsa-sign-byte", (200, 200), None),
        strict("n with padding", format!("{n}==")),
        strict("n with a line break", format!("{half}\n{rest}")),
        strict("n with a blank behind", format!("{n} ")),
        Case::stricter(
            "e with a zero in front",
            with(json!({"e": "AAEAAQ"})),
            &token,
            COORDINATES,
        ),
        Case::unusable(
            "n in the alphabet of base64",
            with(json!({"n": n.replace('-', "+").replace('_', "/")})),
        ),
        Case::unusable("an empty n", with(json!({"n": ""}))),
        Case::unusable("no e", set([jwk_without(&key, &["e"])])),
        Case::unusable("an e of 1", with(json!({"e": "AQ"}))),
        Case::odd("rsa-1024", (503, 200), Some(RSA)),
        Case::odd("rsa-3072", (200, 200), None),
        Case::odd("rsa-4096", (200, 200), None),
        Case::odd("rsa-8192", (503, 200), Some(RSA)),
        Case::odd("rsa-exponent-3", (503, 200), Some(RSA)),
    ]
}

fn elliptic() -> Vec<Case> {
    let key = es256();
    let token = signed(&key);
    let with = |members: Value| set([jwk(&key, members)]);
    let x = member(&key, "x");
    let y = member(&key, "y");
    let eddsa = Key::new(Algorithm::EdDSA, 1);
    vec![
        Case::odd("ec-full-length", (200, 200), None),
        Case::odd("ec-without-leading-zeros", (503, 200), Some(COORDINATES)),
        Case::stricter(
            "x with padding",
            with(json!({"x": format!("{x}=")})),
            &token,
            SPELLING,
        ),
        Case::unusable(
            "a point that is not on the curve",
            with(json!({"x": y, "y": x})),
        ),
        Case::unusable("no y", set([jwk_without(&key, &["y"])])),
        Case::stricter("no crv", set([jwk_without(&key, &["crv"])]), &token, CURVE),
        Case::stricter(
            "a crv that is empty",
            with(json!({"crv": ""})),
            &token,
            CURVE,
        ),
        Case::unusable(
            "another crv than the key has",
            with(json!({"crv": "P-384"})),
        ),
        Case::unusable(
            "an Ed25519 key of 31 bytes",
            set([jwk(&eddsa, json!({"x": "A".repeat(42)}))]),
        ),
    ]
}
