//! The keys to try with a token.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::signer::MODULUS;
use super::*;
use Algorithm::*;

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header {
        algorithm,
        kid: kid.map(str::to_owned),
        typ: None,
    }
}

#[test]
fn a_token_gets_the_key_with_its_kid() {
    let keys = set(&[named(RS256, "a"), named(RS256, "b"), named(ES256, "c")]).unwrap();
    let ids = |header: &Header, allowed: &[Algorithm]| {
        keys.candidates(header, allowed, &NoHost)
            .map(|keys| keys.iter().filter_map(|key| key.id()).collect::<Vec<_>>())
    };
    let all = &Algorithm::ALL;
    assert_eq!(ids(&header(RS256, Some("b")), all), Ok(vec!["b"]));
    assert_eq!(ids(&header(PS512, Some("a")), all), Ok(vec!["a"]));
    assert_eq!(
        ids(&header(ES256, Some("a")), all),
        Err(NoKey::AlgorithmMismatch)
    );
    assert_eq!(
        ids(&header(HS256, Some("a")), all),
        Err(NoKey::AlgorithmMismatch)
    );
    for other in ["d", "", "A", "a\0", "../a"] {
        assert_eq!(
            ids(&header(RS256, Some(other)), all),
            Err(NoKey::UnknownKid)
        );
    }
    // Without `kid`, every key that fits.
    assert_eq!(ids(&header(RS256, None), all), Ok(vec!["a", "b"]));
    assert_eq!(ids(&header(ES256, None), all), Ok(vec!["c"]));
    assert_eq!(
        ids(&header(EdDSA, None), all),
        Err(NoKey::AlgorithmMismatch)
    );
    // No key is searched for an algorithm that is not allowed.
    let not_allowed = Err(NoKey::AlgorithmNotAllowed);
    assert_eq!(ids(&header(RS256, Some("d")), &[ES256]), not_allowed);
    assert_eq!(ids(&header(RS256, Some("a")), &[]), not_allowed);
}

/// Sets of one key often have no `kid`, although the tokens do.
#[test]
fn a_key_without_name_is_tried_for_any_name() {
    let keys = set(&[named(RS256, "a"), jwk(RS256), jwk(ES256)]).unwrap();
    let count = |header: &Header| {
        keys.candidates(header, &Algorithm::ALL, &NoHost)
            .map(|keys| keys.len())
    };
    assert_eq!(count(&header(RS256, Some("a"))), Ok(1));
    assert_eq!(count(&header(RS256, Some("other"))), Ok(1));
    assert_eq!(count(&header(RS256, None)), Ok(2));
    assert_eq!(
        count(&header(EdDSA, Some("other"))),
        Err(NoKey::AlgorithmMismatch)
    );
}

/// Case F3 (RFC 7517 §4.5; ForgeRock publishes a key with the same `kid` for each of its algorithms).
#[test]
fn of_several_keys_of_one_name_the_one_for_the_algorithm_is_tried() {
    let but_for = |kid: &str, alg: &str| but(named(RS256, kid), json!({ "alg": alg }));
    let other = but(but_for("a", "RS384"), json!({"n": OTHER_MODULUS.as_str()}));
    let third = but(but_for("a", "RS384"), json!({"n": MODULUS}));
    let keys = set(&[
        but_for("a", "RS256"),
        other,
        third,
        named(ES256, "a"),
        // For all RSA algorithms, with the same material as the first one.
        named(RS256, "a"),
    ])
    .unwrap();
    let tried = |algorithm: Algorithm| {
        keys.candidates(&header(algorithm, Some("a")), &Algorithm::ALL, &NoHost)
            .map(|keys| keys.len())
    };
    assert_eq!(tried(ES256), Ok(1));
    assert_eq!(tried(RS256), Ok(1), "two entries with one key");
    assert_eq!(tried(RS384), Err(NoKey::Ambiguous));
    assert_eq!(tried(PS256), Ok(1));
    assert_eq!(tried(EdDSA), Err(NoKey::AlgorithmMismatch));
}

static OTHER_MODULUS: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    crate::jose::base64url::encode([&vec![0xff; 255][..], &[1]].concat())
});

#[test]
fn tries_are_bounded() {
    let keys = |count: usize| {
        let keys: Vec<Value> = (0..count).map(|i| named(ES256, &i.to_string())).collect();
        set(&keys).unwrap()
    };
    let tries = |count: usize, kid: Option<&str>| {
        keys(count)
            .candidates(&header(ES256, kid), &[ES256], &NoHost)
            .map(|keys| keys.len())
    };
    assert_eq!(tries(MAX_TRIES, None), Ok(MAX_TRIES));
    assert_eq!(tries(MAX_TRIES + 1, None), Err(NoKey::Ambiguous));
    assert_eq!(tries(MAX_TRIES + 1, Some("0")), Ok(1));
    assert_eq!(keys(MAX_KEYS).keys().len(), MAX_KEYS);
}

/// A host without the function.
struct Without;

impl HostSignatures for Without {
    fn is_available(&self) -> bool {
        false
    }

    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

#[test]
fn one_key_is_tried_where_the_module_verifies() {
    let keys = set(&[jwk(RS256), named(RS256, "a"), jwk(ES256), jwk(EdDSA)]).unwrap();
    let fast = |header: &Header| {
        keys.candidates(header, &Algorithm::ALL, &NoHost)
            .map(|keys| keys.len())
    };
    let slow = |header: &Header| {
        keys.candidates(header, &Algorithm::ALL, &Without)
            .map(|keys| keys.len())
    };
    assert_eq!(fast(&header(RS256, None)), Ok(2));
    assert_eq!(slow(&header(RS256, None)), Err(NoKey::Ambiguous));
    assert_eq!(slow(&header(RS256, Some("a"))), Ok(1));
    assert_eq!(slow(&header(RS256, Some("b"))), Ok(1));
    for count in [&fast as &dyn Fn(&Header) -> Result<usize, NoKey>, &slow] {
        assert_eq!(count(&header(PS256, None)), Err(NoKey::Ambiguous));
        assert_eq!(count(&header(PS256, Some("a"))), Ok(1));
        assert_eq!(count(&header(ES256, None)), Ok(1));
        assert_eq!(count(&header(EdDSA, None)), Ok(1));
    }
    // Secrets are fast in the module.
    let secrets = set(&[jwk(HS256), named(HS256, "a")]).unwrap();
    let tried = secrets.candidates(&header(HS256, None), &Algorithm::ALL, &Without);
    assert_eq!(tried.map(|keys| keys.len()), Ok(2));
}
