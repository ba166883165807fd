//! The host and the module give the same verdict.

use proptest::prelude::*;
use std::cell::RefCell;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::signer::signature;
use super::*;
use crate::jose::base64url::{decode, encode};
use Algorithm::*;

/// A host that records the calls and gives a fixed answer.
struct RecordingHost {
    answer: Option<bool>,
    questions: RefCell<Vec<(Hash, Vec<u8>)>>,
}

impl RecordingHost {
    fn answering(answer: Option<bool>) -> Self {
        let questions = RefCell::default();
        Self { answer, questions }
    }
}

impl HostSignatures for RecordingHost {
    fn verify(&self, hash: Hash, _: &[u8], _: &[u8], signature: &[u8]) -> Option<bool> {
        self.questions.borrow_mut().push((hash, signature.to_vec()));
        self.answer
    }
}

const BY_THE_HOST: [(Algorithm, Hash); 5] = [
    (RS256, Hash::Sha256),
    (RS384, Hash::Sha384),
    (RS512, Hash::Sha512),
    (ES256, Hash::Sha256),
    (ES384, Hash::Sha384),
];

/// The common verdict, or `None` if the two differ.
fn agreed(token: &str, keys: &KeySet) -> Option<bool> {
    let by_host = verify(token.as_bytes(), keys, &LikeEnvoy);
    let in_rust = verify(token.as_bytes(), keys, &NoHost);
    assert_ne!(by_host, Some(VerifiedBy::Rust));
    assert_ne!(in_rust, Some(VerifiedBy::Host));
    (by_host.is_some() == in_rust.is_some()).then_some(by_host.is_some())
}

#[test]
fn the_host_verifies_what_it_can() {
    for (algorithm, _) in BY_THE_HOST {
        let found = verify(plain(algorithm).as_bytes(), &set_for(algorithm), &LikeEnvoy);
        assert_eq!(found, Some(VerifiedBy::Host), "{algorithm}");
    }
    for algorithm in [HS256, HS384, HS512, PS256, PS384, PS512, EdDSA] {
        let host = RecordingHost::answering(Some(true));
        let found = verify(plain(algorithm).as_bytes(), &set_for(algorithm), &host);
        assert_eq!(found, Some(VerifiedBy::Rust), "{algorithm}");
        assert!(host.questions.borrow().is_empty(), "{algorithm}");
    }
}

#[test]
fn the_host_has_the_last_word() {
    for (algorithm, hash) in BY_THE_HOST {
        let token = plain(algorithm);
        for (answer, expected) in [
            (Some(true), Some(VerifiedBy::Host)),
            (Some(false), None),
            (None, Some(VerifiedBy::Rust)),
        ] {
            let host = RecordingHost::answering(answer);
            assert_eq!(
                verify(token.as_bytes(), &set_for(algorithm), &host),
                expected
            );
            let questions = host.questions.into_inner();
            assert_eq!(questions.len(), 1);
            assert_eq!(questions[0].0, hash);
        }
    }
}

/// r and s in DER: no unnecessary zeros, and a sign byte if the first bit is set.
#[test]
fn an_ecdsa_signature_becomes_der() {
    let asked = |r: &[u8], s: &[u8]| {
        let message = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode(CLAIMS));
        let token = format!("{message}.{}", encode([r, s].concat()));
        let host = RecordingHost::answering(Some(true));
        let by = verify(token.as_bytes(), &set_for(ES256), &host);
        (
            by,
            host.questions
                .into_inner()
                .pop()
                .map(|(_, signature)| signature),
        )
    };
    let number = |last: &[u8]| [&vec![0; 32 - last.len()][..], last].concat();
    let good = Some(VerifiedBy::Host);
    assert_eq!(
        asked(&number(&[1]), &number(&[0x80])),
        (good, Some(vec![0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]))
    );
    assert_eq!(
        asked(&number(&[0x7f, 0]), &[0xff; 32]),
        (
            good,
            Some([&[0x30, 39, 2, 2, 0x7f, 0, 2, 33, 0], &[0xff; 32][..]].concat())
        )
    );
    // Zero is invalid, and the host is not asked.
    assert_eq!(asked(&number(&[]), &number(&[])), (None, None));
    assert_eq!(asked(&number(&[1]), &number(&[])), (None, None));
    assert_eq!(asked(&number(&[]), &number(&[1])), (None, None));
    assert_eq!(asked(&number(&[1]), &number(&[1])[1..]), (None, None));
}

/// Signatures at the bounds of the valid range, among them a good one plus the order of the curve or the modulus.
#[test]
fn both_refuse_numbers_out_of_range() {
    let order = decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").unwrap();
    let mut below = order.clone();
    below[31] -= 1;
    let mut one = vec![0; 32];
    one[31] = 1;
    let keys = set_for(ES256);
    let message = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode(CLAIMS));
    let good = signature(ES256, message.as_bytes());
    let edges = [
        vec![0; 32],
        one,
        below,
        order,
        vec![0xff; 32],
        good[..32].to_vec(),
    ];
    for r in &edges {
        for s in &edges {
            let token = format!("{message}.{}", encode([&r[..], s].concat()));
            assert_eq!(agreed(&token, &keys), Some(false));
        }
    }

    let modulus = jwk(RS256)["n"].as_str().unwrap().to_owned();
    let modulus = rsa::BigUint::from_bytes_be(&decode(modulus).unwrap());
    let message = format!("{}.{}", encode(r#"{"alg":"RS256"}"#), encode(CLAIMS));
    let good = rsa::BigUint::from_bytes_be(&signature(RS256, message.as_bytes()));
    for number in [
        &good + &modulus,
        modulus.clone(),
        &modulus - 1_u32,
        1_u32.into(),
        0_u32.into(),
    ] {
        let mut bytes = number.to_bytes_be();
        while bytes.len() < 256 {
            bytes.insert(0, 0);
        }
        let token = format!("{message}.{}", encode(bytes));
        assert_eq!(agreed(&token, &set_for(RS256)), Some(false));
    }
}

/// jwt-simple must accept the form of every token that [`Token::parse`] accepts, because the host sees only the
/// signature.
#[test]
fn both_accept_every_form_of_a_token() {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(31), "]".repeat(31));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(6_000));
    let long_member = format!(r#","a":"{}""#, "x".repeat(6_100));
    let claims = [
        r"{}",
        r#"{"exp":0,"nbf":1e300,"iat":18446744073709551615}"#,
        r#"{"exp":-0.0,"nbf":0.5,"iat":1e-400}"#,
        r#"{"aud":[],"iss":"","sub":"\u0000","jti":"x","nonce":"n"}"#,
        r#"{"aud":["a","a"],"amr":[1,null,{"a":{}}],"big":123456789012345678901234567890}"#,
        r#"{"custom":{"exp":"text","iss":1},"EXP":"x","":""}"#,
        &deep,
        &long,
    ];
    let members = [
        "",
        r#","typ":"JWT""#,
        r#","typ":"jwt""#,
        r#","typ":"at+jwt""#,
        r#","typ":"application/jwt""#,
        r#","typ":"JOSE""#,
        r#","typ":"""#,
        r#","typ":"ŉ\u0000ß""#,
        r#","cty":"JWT","jku":"x","x5u":"x","x5t":"x","x5t#S256":"x","x5c":[]"#,
        r#","kid":"","alg2":"none","epk":{"a":[1]},"enc":null,"iss":1,"":0"#,
        r#","b":1e300,"c":-1,"typ":"x+JWT","cty":"x""#,
        &long_member,
    ];
    for algorithm in [ES256, HS256] {
        let keys = set_for(algorithm);
        for members in members {
            let header = format!(r#"{{"alg":"{algorithm}"{members}}}"#);
            for claims in claims {
                let token = sign(algorithm, &header, claims);
                let found = verify(token.as_bytes(), &keys, &NoHost);
                assert_eq!(found, Some(VerifiedBy::Rust), "{header} {claims}");
            }
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é\u{0}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c.]{0,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Objects with names that have a meaning, and others.
fn any_object(names: &'static str) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(names, any_json(), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Like [`both_accept_every_form_of_a_token`], with any form: Rust also verifies every well-signed token that parses.
    #[test]
    fn what_can_be_read_can_be_verified(
        header in any_object("kid|typ|cty|jku|x5[uct]|x5t#S256|epk|[a-z]"),
        claims in any_object("iss|sub|aud|exp|nbf|iat|jti|nonce|scope|[a-z]"),
    ) {
        let mut header = header;
        header["alg"] = json!("HS256");
        let token = sign(HS256, &header.to_string(), &claims.to_string());
        let can_be_read = Token::parse(token.as_bytes()).is_ok();
        let found = verify(token.as_bytes(), &set_for(HS256), &NoHost);
        prop_assert_eq!(found.is_some(), can_be_read);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both accept a token as it was signed, and agree after bytes were changed.
    #[test]
    fn both_paths_agree(
        which in 0..BY_THE_HOST.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9_-]"), 0..3),
    ) {
        let (algorithm, _) = BY_THE_HOST[which];
        let good = plain(algorithm);
        let mut token = good.clone();
        for (at, new) in changes {
            let at = at.index(token.len());
            token.replace_range(at..at + 1, &new);
        }
        prop_assert_eq!(agreed(&token, &set_for(algorithm)), Some(token == good));
    }
}
