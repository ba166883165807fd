//! Claims as parts of keys.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::key::{Sent, counted, numbers};
use super::*;

fn by_claims(name: &str, claims: &[&str]) -> Vec<Option<usize>> {
    let requests: Vec<_> = claims
        .iter()
        .map(|claims| Sent {
            claims,
            ..Sent::default()
        })
        .collect();
    counted(json!([{"claim": name}]), "share", &requests)
}

#[test]
fn claims_are_texts_numbers_and_truth_values() {
    let claims = [
        r#"{"sub": "alice"}"#,
        r#"{"iat": 1, "sub": "\u0061lice", "x": {"sub": "bob"}}"#,
        r#"{"sub": "bob"}"#,
        r#"{"sub": 7}"#,
        r#"{"sub": -7}"#,
        r#"{"sub": true}"#,
        r#"{"sub": null}"#,
        r#"{"sub": ["alice"]}"#,
        r#"{"sub": {"": "alice"}}"#,
        r#"{"sub": ""}"#,
        r#"["sub"]"#,
        r#"{"sub": "alice"} x"#,
        r#"{"sub": "alice""#,
        "",
    ];
    assert_eq!(
        by_claims("sub", &claims),
        numbers([0, 0, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6])
    );
}

#[test]
fn two_claims_have_two_keys_and_one_claim_has_one() {
    let claims = [
        r#"{"c": 1}"#,
        r#"{"c": "1"}"#,
        r#"{"c": 1.0}"#,
        r#"{"c": "\"1\""}"#,
        r#"{"c": 1e0}"#,
        r#"{"c": true}"#,
        r#"{"c": "true"}"#,
        r#"{"c": "\"true\""}"#,
        r#"{"c": 0}"#,
        r#"{"c": -0.0}"#,
        r#"{"c": "-0"}"#,
        r#"{"c": "a"}"#,
        r#"{"c": " a"}"#,
        r#"{"c": "a\n"}"#,
        r#"{"c": "\u0061"}"#,
        r#"{"c": "a\u0000"}"#,
    ];
    assert_eq!(
        by_claims("c", &claims),
        numbers([0, 1, 0, 3, 0, 5, 6, 7, 8, 8, 10, 11, 12, 13, 11, 15])
    );
}

#[test]
fn claims_are_found_by_path_or_by_whole_name() {
    let claims = [
        r#"{"realm": {"x": "u", "tenant": "t"}}"#,
        r#"{"realm": {"tenant": "u"}, "realm.tenant": "t"}"#,
        r#"{"realm.tenant": "t", "realm": {"tenant": "u"}}"#,
        r#"{"realm": {"tenant": "u"}, "realm.tenants": "t", "realmx": {"tenant": "t"}}"#,
        r#"{"tenant": "t"}"#,
        r#"{"realm": "t"}"#,
    ];
    assert_eq!(
        by_claims("realm.tenant", &claims),
        numbers([0, 0, 0, 3, 4, 4])
    );
    let url = "https://shop.example/tenant";
    let found = by_claims(url, &[r#"{"https://shop.example/tenant": "t"}"#, "{}"]);
    assert_eq!(found, numbers([0, 1]));
}
