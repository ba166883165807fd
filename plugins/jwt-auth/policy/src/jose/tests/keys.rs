//! Single keys: which entries of a set are usable, and for which algorithms.

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

/// The reason why this entry is unusable; `None` if it is usable.
fn unusable(entry: Value) -> Option<Unusable> {
    match set(&[entry]) {
        Ok(_) => None,
        Err(KeySetError::Empty(skipped)) => Some(skipped[0].reason),
        Err(other) => panic!("{other}"),
    }
}

pub(super) fn secret(bytes: usize) -> Value {
    json!({"kty": "oct", "k": encode(vec![1; bytes])})
}

pub(super) fn rsa(modulus: &[u8]) -> Value {
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

/// Case F2: serialisers write absent members.
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
    // A wrong value stays wrong.
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
    // The neutral element, for which anybody can make a signature, and a point of order 8.
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
    // 2047 bits; an even number; two leading zero bytes.
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

/// Some issuers write it, although RFC 7518 §6.3.1.1 forbids it.
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
