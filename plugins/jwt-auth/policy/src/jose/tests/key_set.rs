//! Which entries of a set are usable.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::signer::{ED25519_X, MODULUS};
use super::*;
use crate::jose::base64url::{decode, encode};
use Algorithm::*;

fn without(mut jwk: Value, name: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(name).unwrap();
    jwk
}

/// Why a set with nothing but this entry is empty; none if it is not.
fn unusable(entry: Value) -> Option<Unusable> {
    match set(&[entry]) {
        Ok(_) => None,
        Err(KeySetError::Empty(skipped)) => Some(skipped[0].reason),
        Err(other) => panic!("{other}"),
    }
}

fn secret(bytes: usize) -> Value {
    json!({"kty": "oct", "k": encode(vec![1; bytes])})
}

fn rsa(modulus: &[u8]) -> Value {
    json!({"kty": "RSA", "n": encode(modulus), "e": "AQAB"})
}

#[test]
fn the_type_of_a_key_says_what_it_is_for() {
    let rsa: &[Algorithm] = &[RS256, RS384, RS512, PS256, PS384, PS512];
    for (entry, expected) in [
        (jwk(RS256), rsa),
        (jwk(ES256), &[ES256]),
        (jwk(ES384), &[ES384]),
        (jwk(EdDSA), &[EdDSA]),
        (secret(32), &[HS256]),
        (secret(47), &[HS256]),
        (secret(48), &[HS256, HS384]),
        (secret(64), &[HS256, HS384, HS512]),
    ] {
        assert_eq!(set(&[entry]).unwrap().algorithms(), expected);
    }
}

#[test]
fn alg_narrows_that_down() {
    for algorithm in Algorithm::ALL {
        let keys = set(&[but(jwk(algorithm), json!({"alg": algorithm.name()}))]).unwrap();
        assert_eq!(keys.algorithms(), [algorithm]);
    }
    for (entry, alg) in [
        (jwk(RS256), "ES256"),
        (jwk(RS256), "HS256"),
        (jwk(RS256), "RSA-OAEP-256"),
        (jwk(RS256), "none"),
        (jwk(RS256), "rs256"),
        (jwk(ES256), "ES384"),
        (jwk(ES256), "ECDH-ES"),
        (jwk(EdDSA), "ES256"),
        (jwk(HS256), "RS256"),
        (jwk(HS256), "A256GCM"),
    ] {
        let found = unusable(but(entry, json!({ "alg": alg })));
        assert_eq!(found, Some(Unusable::Algorithm), "{alg}");
    }
}

#[test]
fn a_key_for_something_else_is_skipped() {
    let encryption = json!({"use": "enc"});
    assert_eq!(unusable(but(jwk(RS256), encryption)), Some(Unusable::Use));
    for operations in [json!(["sign"]), json!(["encrypt", "wrapKey"])] {
        let entry = but(jwk(ES256), json!({ "key_ops": operations }));
        assert_eq!(unusable(entry), Some(Unusable::Use));
    }
    for usage in [
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
        json!({"key_ops": ["sign", "verify"], "use": "sig"}),
    ] {
        assert_eq!(unusable(but(jwk(HS256), usage.clone())), None);
        assert_eq!(unusable(but(jwk(RS256), usage)), None);
    }
}

#[test]
fn an_entry_is_a_key() {
    for entry in [json!("text"), json!(null), json!([])] {
        assert_eq!(unusable(entry), Some(Unusable::NotAKey));
    }
    for wrong in [
        json!({"kid": 1}),
        json!({"use": ["sig"]}),
        json!({"alg": 256}),
        json!({"key_ops": "verify"}),
        json!({"key_ops": [1]}),
        json!({"kty": 1}),
        json!({"crv": 1}),
    ] {
        let found = unusable(but(jwk(ES256), wrong.clone()));
        assert_eq!(found, Some(Unusable::NotAKey), "{wrong}");
    }
    for unknown in [
        json!({"kty": "AKP"}),
        json!({"kty": "ec"}),
        json!({"crv": "P-521"}),
        json!({"crv": "secp256k1"}),
        json!({"kty": "OKP", "crv": "X25519"}),
        json!({"kty": "OKP", "crv": "Ed448"}),
    ] {
        let found = unusable(but(jwk(ES256), unknown.clone()));
        assert_eq!(found, Some(Unusable::KeyType), "{unknown}");
    }
    assert_eq!(
        unusable(without(jwk(ES256), "crv")),
        Some(Unusable::KeyType)
    );
    assert_eq!(unusable(json!({})), Some(Unusable::KeyType));
}

/// Case F2: serialisers write members that they do not have.
#[test]
fn null_and_empty_members_of_a_key_are_absent() {
    for absent in [
        json!({"use": null, "alg": null, "key_ops": null, "kid": null, "d": null, "x5c": null}),
        json!({"use": "", "alg": "", "key_ops": [], "kid": "", "d": ""}),
    ] {
        for algorithm in [RS256, ES256, EdDSA] {
            let keys = set(&[but(jwk(algorithm), absent.clone())]).unwrap();
            assert!(keys.algorithms().contains(&algorithm), "{absent}");
            assert_eq!(keys.keys()[0].id(), None);
        }
    }
    let keys = set(&[but(jwk(RS256), json!({"crv": null}))]);
    assert!(keys.is_ok());
    // A value that is wrong stays so.
    for (wrong, reason) in [
        (json!({"use": "enc"}), Unusable::Use),
        (json!({"use": 0}), Unusable::NotAKey),
        (json!({"key_ops": [null]}), Unusable::NotAKey),
        (json!({"n": null}), Unusable::Material),
    ] {
        assert_eq!(unusable(but(jwk(RS256), wrong)), Some(reason));
    }
}

#[test]
fn a_private_key_is_skipped() {
    for algorithm in [RS256, ES256, ES384, EdDSA] {
        let entry = but(jwk(algorithm), json!({"d": "AQ"}));
        assert_eq!(unusable(entry), Some(Unusable::Private), "{algorithm}");
    }
}

#[test]
fn the_material_is_whole() {
    for (algorithm, name) in [
        (RS256, "n"),
        (ES256, "x"),
        (ES256, "y"),
        (ES384, "x"),
        (EdDSA, "x"),
        (HS256, "k"),
    ] {
        assert_eq!(
            unusable(without(jwk(algorithm), name)),
            Some(Unusable::Material)
        );
        for value in [
            json!(null),
            json!(1),
            json!("=="),
            json!("A+/A"),
            json!("AB"),
        ] {
            let entry = but(jwk(algorithm), json!({ name: value }));
            assert_eq!(
                unusable(entry),
                Some(Unusable::Material),
                "{algorithm} {name}"
            );
        }
    }
    assert_eq!(unusable(without(jwk(RS256), "e")), Some(Unusable::Material));
    assert_eq!(
        unusable(but(jwk(RS256), json!({"n": ""}))),
        Some(Unusable::Material)
    );
}

#[test]
fn points_are_on_their_curve() {
    let point =
        |algorithm: Algorithm, name: &str| decode(jwk(algorithm)[name].as_str().unwrap()).unwrap();
    for algorithm in [ES256, ES384] {
        let mut y = point(algorithm, "y");
        *y.last_mut().unwrap() ^= 1;
        let zero = encode(vec![0; y.len()]);
        let longer = encode([&[0], &point(algorithm, "x")[..]].concat());
        for changes in [
            json!({"y": encode(&y)}),
            json!({"y": encode(&y[1..])}),
            json!({"x": zero, "y": zero}),
            json!({ "x": longer }),
        ] {
            let found = unusable(but(jwk(algorithm), changes));
            assert_eq!(found, Some(Unusable::Material), "{algorithm}");
        }
    }
    // The neutral element, for which a signature is easily made, and a point of order 8.
    for weak in [
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
    ] {
        let entry = json!({"kty": "OKP", "crv": "Ed25519", "x": weak});
        assert_eq!(unusable(entry), Some(Unusable::Material), "{weak}");
    }
    let short = encode(&decode(ED25519_X).unwrap()[1..]);
    let entry = json!({"kty": "OKP", "crv": "Ed25519", "x": short});
    assert_eq!(unusable(entry), Some(Unusable::Material));
}

#[test]
fn weak_and_exotic_keys_are_skipped() {
    let odd = |bytes: usize| [&vec![0xff; bytes - 1][..], &[1]].concat();
    assert_eq!(unusable(rsa(&odd(256))), None);
    assert_eq!(unusable(rsa(&odd(512))), None);
    assert_eq!(unusable(rsa(&odd(128))), Some(Unusable::Weak));
    assert_eq!(unusable(rsa(&odd(255))), Some(Unusable::Weak));
    assert_eq!(unusable(rsa(&odd(513))), Some(Unusable::UnsupportedRsa));
    // 2047 bits; an even number; two bytes of zeros in front.
    let modulus = decode(MODULUS).unwrap();
    let smaller = [&[0x7f], &modulus[1..]].concat();
    assert_eq!(unusable(rsa(&smaller)), Some(Unusable::Weak));
    let even = [&modulus[..255], &[2]].concat();
    assert_eq!(unusable(rsa(&even)), Some(Unusable::Material));
    let padded = [&[0, 0], &modulus[..]].concat();
    assert_eq!(unusable(rsa(&padded)), Some(Unusable::Material));
    for exponent in ["Aw", "AQ", "EQ", "AAEAAQ", "AQAAAAE"] {
        let entry = but(jwk(RS256), json!({ "e": exponent }));
        assert_eq!(
            unusable(entry),
            Some(Unusable::UnsupportedRsa),
            "{exponent}"
        );
    }

    assert_eq!(unusable(secret(31)), Some(Unusable::Weak));
    assert_eq!(unusable(secret(0)), Some(Unusable::Weak));
    let short = but(secret(48), json!({"alg": "HS512"}));
    assert_eq!(unusable(short), Some(Unusable::Weak));
}

/// As some issuers write it, although RFC 7518 §6.3.1.1 forbids it.
#[test]
fn a_modulus_may_have_a_sign_byte() {
    let signed = [&[0], &decode(MODULUS).unwrap()[..]].concat();
    let keys = set(&[rsa(&signed)]).unwrap();
    let token = plain(RS256);
    assert_eq!(
        verify(token.as_bytes(), &keys, &NoHost),
        Some(VerifiedBy::Rust)
    );
}

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
fn an_empty_set_can_be_told_apart() {
    assert_eq!(set(&[]).err(), Some(KeySetError::Empty(vec![])));
    let error = set(&[json!({"kty": "oct", "kid": "s", "k": "AQ"})]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no usable key; keys[0] (kid \"s\"): too short to be safe"
    );
}

#[test]
fn what_is_no_set_is_refused() {
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
fn keys_of_one_name_are_told_apart_by_what_they_are_for() {
    let rs256 = but(named(RS256, "a"), json!({"alg": "RS256"}));
    let ps256 = but(named(RS256, "a"), json!({"alg": "PS256"}));
    let keys = set(&[rs256.clone(), ps256, named(ES256, "a"), rs256.clone()]).unwrap();
    assert_eq!(keys.keys().len(), 3, "twins are one");
    assert_eq!(keys.skipped(), []);
    // One that cannot be used is not there.
    let encryption = but(named(RS256, "a"), json!({"use": "enc"}));
    let keys = set(&[encryption, named(ES256, "a")]).unwrap();
    assert_eq!(keys.keys().len(), 1);
    // Two that fit the same tokens do not spoil the set.
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
fn secrets_keep_to_themselves() {
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
