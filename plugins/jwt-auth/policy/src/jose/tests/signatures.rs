//! Good and bad signatures.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::signer::{SECRET, ec, signature};
use super::*;
use crate::jose::base64url::{decode, encode};
use Algorithm::*;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[test]
fn every_algorithm_verifies() {
    for algorithm in Algorithm::ALL {
        let token = plain(algorithm);
        let found = verify(token.as_bytes(), &set_for(algorithm), &NoHost);
        assert_eq!(found, Some(VerifiedBy::Rust), "{algorithm}");
    }
}

/// Replaces each byte of a token by a valid character, and by some invalid ones.
///
/// RSA is slow without optimisation, and the longer hashes sign the same bytes: for those, every 16th byte is enough.
#[test]
fn no_byte_can_be_changed() {
    for algorithm in Algorithm::ALL {
        let token = plain(algorithm).into_bytes();
        let keys = set_for(algorithm);
        let step = match algorithm {
            RS384 | RS512 | PS384 | PS512 => 16,
            _ => 1,
        };
        for position in (0..token.len()).step_by(step) {
            let old = token[position];
            let at = ALPHABET.iter().position(|byte| *byte == old);
            let other = ALPHABET[(at.unwrap_or(0) + 1 + position % 63) % 64];
            for new in [other, b'.', b'=', b'+', 0xff] {
                let mut changed = token.clone();
                changed[position] = new;
                let is_good = is_good(&changed, &keys);
                assert_eq!(is_good, changed == token, "{algorithm}: {position} {new}");
            }
        }
    }
}

#[test]
fn nothing_can_be_added_or_left_out() {
    for algorithm in Algorithm::ALL {
        let keys = set_for(algorithm);
        let token = plain(algorithm);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = decode(signature).unwrap();
        for wrong in [
            signature[1..].to_vec(),
            signature[..signature.len() - 1].to_vec(),
            [&[0], &signature[..]].concat(),
            [&signature[..], &[0]].concat(),
            [&signature[..], &signature[..]].concat(),
            vec![0; signature.len()],
            vec![0xff; signature.len()],
            vec![0],
        ] {
            let token = format!("{message}.{}", encode(wrong));
            assert!(!is_good(token.as_bytes(), &keys), "{algorithm}");
        }
    }
}

/// A known attack: a public key, in any of its spellings, must not serve as an HMAC secret.
#[test]
fn a_public_key_is_no_hmac_secret() {
    use jwt_simple::prelude::{HS256Key, MACLike as _, RS256PublicKey};

    let message = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(CLAIMS));
    let public = jwk(RS256);
    let modulus = decode(public["n"].as_str().unwrap()).unwrap();
    let spki = RS256PublicKey::from_components(&modulus, &[1, 0, 1]);
    let spki = spki.unwrap().to_der().unwrap();
    assert_eq!(spki.len(), 294);
    for secret in [spki, modulus, public.to_string().into_bytes()] {
        let forged = HS256Key::from_bytes(&secret).authentication_tag(message.as_bytes());
        let forged = format!("{message}.{}", encode(forged));
        let keys = set_for(RS256);
        let token = Token::parse(forged.as_bytes()).unwrap();
        assert_eq!(
            keys.candidates(token.header(), &Algorithm::ALL, &NoHost)
                .err(),
            Some(NoKey::AlgorithmMismatch)
        );
        // Nor if the caller tries the key regardless.
        assert_eq!(keys.keys()[0].verify(&token, &NoHost), None);
    }
}

/// A key verifies only with the algorithm that the header names, and only if it is one of the key's.
#[test]
fn a_signature_is_of_one_algorithm() {
    for signed in Algorithm::ALL {
        for named in Algorithm::ALL {
            let header = format!(r#"{{"alg":"{named}"}}"#);
            let token = sign(signed, &header, CLAIMS);
            let token = Token::parse(token.as_bytes()).unwrap();
            let keys = set_for(signed);
            let in_rust = keys.keys()[0].verify(&token, &NoHost);
            let by_host = keys.keys()[0].verify(&token, &LikeEnvoy);
            for found in [in_rust, by_host] {
                assert_eq!(found.is_some(), signed == named, "{signed} as {named}");
            }
        }
    }
}

#[test]
fn the_key_says_which_algorithm() {
    let keys = set(&[json!({"kty": "oct", "k": SECRET, "alg": "HS512"})]).unwrap();
    for (algorithm, expected) in [
        (HS256, None),
        (HS384, None),
        (HS512, Some(VerifiedBy::Rust)),
    ] {
        let token = plain(algorithm);
        let token = Token::parse(token.as_bytes()).unwrap();
        assert_eq!(
            keys.keys()[0].verify(&token, &NoHost),
            expected,
            "{algorithm}"
        );
    }
}

#[test]
fn another_key_verifies_nothing() {
    let other = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let point = other.verifying_key().to_sec1_point(false);
    let keys = set(&[ec("P-256", point.as_bytes())]).unwrap();
    assert!(!is_good(plain(ES256).as_bytes(), &keys));
    let keys = set(&[json!({"kty": "oct", "k": encode([1; 32])})]).unwrap();
    assert_eq!(verify(plain(HS256).as_bytes(), &keys, &NoHost), None);
}

#[test]
fn all_candidates_are_tried() {
    let other = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let point = other.verifying_key().to_sec1_point(false);
    let keys = set(&[ec("P-256", point.as_bytes()), jwk(ES256)]).unwrap();
    assert_eq!(
        verify(plain(ES256).as_bytes(), &keys, &NoHost),
        Some(VerifiedBy::Rust)
    );
}

/// With an ECDSA signature (r, s), (r, n - s) is also valid: a token does not identify its content, so revocation uses
/// `jti`.
#[test]
fn ecdsa_signatures_are_not_unique() {
    let message = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode(CLAIMS));
    let first = signature(ES256, message.as_bytes());
    let parsed = p256::ecdsa::Signature::from_slice(&first).unwrap();
    let (r, s) = parsed.split_scalars();
    let second = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    assert_ne!(first, second.to_bytes().to_vec());
    let token = format!("{message}.{}", encode(second.to_bytes()));
    assert!(is_good(token.as_bytes(), &set_for(ES256)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Like [`no_byte_can_be_changed`], with any byte.
    #[test]
    fn no_byte_can_become_any_other(at in any::<prop::sample::Index>(), new: u8) {
        let token = plain(HS256).into_bytes();
        let mut changed = token.clone();
        changed[at.index(token.len())] = new;
        let is_good = verify(&changed, &set_for(HS256), &NoHost).is_some();
        prop_assert_eq!(is_good, changed == token);
    }
}
