//! Parsing of tokens.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::jose::base64url::encode;

fn fault(token: impl AsRef<[u8]>) -> Option<Malformed> {
    Token::parse(token.as_ref()).err()
}

/// The fault of a token with an arbitrary signature.
fn with(header: &str, payload: &str) -> Option<Malformed> {
    fault(format!("{}.{}.AAAA", encode(header), encode(payload)))
}

fn with_header(header: Value) -> Option<Malformed> {
    with(&header.to_string(), CLAIMS)
}

fn with_claims(claims: &str) -> Option<Malformed> {
    with(r#"{"alg":"RS256"}"#, claims)
}

#[test]
fn a_token_is_parsed_without_changes() {
    let header = r#"{"alg":"ES256","typ":"at+jwt","kid":"k\u0031","cty":"x","x5t":"AA","iat":7}"#;
    let compact = sign(Algorithm::ES256, header, CLAIMS);
    let token = Token::parse(compact.as_bytes()).unwrap();
    assert_eq!(
        *token.header(),
        Header {
            algorithm: Algorithm::ES256,
            kid: Some("k1".to_owned()),
            typ: Some("at+jwt".to_owned()),
        }
    );
    assert_eq!(token.compact(), compact);
    assert_eq!(token.payload(), CLAIMS.as_bytes());
    assert_eq!(token.claims().get("sub"), Some(&json!("ada")));
    assert_eq!(token.signature().len(), 64);
    let end = compact.rfind('.').unwrap();
    assert_eq!(token.signing_input(), &compact.as_bytes()[..end]);
}

#[test]
fn the_previous_token_makes_no_difference() {
    let headers = [
        r#"{"alg":"RS256","kid":"a"}"#,
        r#"{"alg":"RS256","kid":"b"}"#,
        r#"{"alg":"none","kid":"a"}"#,
        r#"{"alg":"RS256","kid":"a","kid":"a"}"#,
        "{",
    ];
    let payloads = [CLAIMS, r#"{"exp":"never"}"#, "["];
    let mut last = HeaderCache::default();
    for _ in 0..2 {
        for (header, payload) in headers.iter().flat_map(|h| payloads.map(|p| (h, p))) {
            for signature in ["AAAA", "A"] {
                let token = format!("{}.{}.{signature}", encode(header), encode(payload));
                let read = |token: Result<Token<'_>, Malformed>| {
                    token.map(|token| (token.header().clone(), token.claims().clone()))
                };
                let alone = read(Token::parse(token.as_bytes()));
                let after = read(Token::parse_cached(&mut last, token.as_bytes()));
                assert_eq!(after, alone, "{token}");
            }
        }
    }
}

#[test]
fn three_parts_and_none_of_them_empty() {
    let good = plain(Algorithm::HS256);
    let parts: Vec<&str> = good.split('.').collect();
    for parts in [
        vec![],
        parts[..1].to_vec(),
        parts[..2].to_vec(),
        [&parts[..], &["AA"]].concat(),
        // A JWE has five.
        [&parts[..], &["AA", "AA"]].concat(),
        vec!["", parts[1], parts[2]],
        vec![parts[0], "", parts[2]],
        vec![parts[0], parts[1], ""],
        vec!["", "", ""],
    ] {
        assert_eq!(
            fault(parts.join(".")),
            Some(Malformed::NotCompact),
            "{parts:?}"
        );
    }
}

/// `AQ` is the byte 1; a lax decoder reads `AR` as the same byte.
#[test]
fn base64url_has_one_spelling() {
    for part in 0..3 {
        let header = encode(r#"{"alg":"HS256"}"#);
        let good = [header.as_str(), "e30", "AQ"];
        assert_eq!(fault(good.join(".")), None);
        for bad in [
            "AR", "AQ==", "AQ=", "A", "A+AA", "A/AA", "AQ\n", " AQ", "A\u{e4}", "AQ\0",
        ] {
            let mut parts = good;
            parts[part] = bad;
            assert_eq!(
                fault(parts.join(".")),
                Some(Malformed::NotBase64url),
                "{part} {bad:?}"
            );
        }
    }
    assert_eq!(fault(b"\xff.e30.AQ"), Some(Malformed::NotBase64url));
}

#[test]
fn sizes_are_bounded() {
    let sized = |length: usize| {
        let token = format!("{}.{}.", encode(r#"{"alg":"RS256"}"#), encode(CLAIMS));
        let signature = "A".repeat(length - token.len());
        token + &signature
    };
    assert_eq!(fault(sized(MAX_TOKEN)), None);
    assert_eq!(fault(sized(MAX_TOKEN + 1)), Some(Malformed::TooLong));
    assert_eq!(fault(sized(1_000_000)), Some(Malformed::TooLong));

    let header = |length: usize| {
        let empty = json!({"alg": "RS256", "x": ""}).to_string().len();
        let fill = "x".repeat(length * 3 / 4 - empty);
        with_header(json!({"alg": "RS256", "x": fill}))
    };
    assert_eq!(header(MAX_HEADER), None);
    assert_eq!(header(MAX_HEADER + 4), Some(Malformed::HeaderTooLong));
}

#[test]
fn the_algorithm_is_supported() {
    for algorithm in Algorithm::ALL {
        assert_eq!(with_header(json!({"alg": algorithm.name()})), None);
        assert_eq!(
            with_header(json!({"alg": algorithm.name().to_lowercase()})),
            Some(Malformed::Algorithm)
        );
    }
    for other in [
        "none", "None", "NONE", "", "ES512", "ES256K", "RSA-OAEP", "dir", "HS1", " RS256",
        "RS256\0",
    ] {
        assert_eq!(
            with_header(json!({ "alg": other })),
            Some(Malformed::Algorithm),
            "{other}"
        );
    }
    assert_eq!(with_header(json!({})), Some(Malformed::Algorithm));
    for other in [json!(["RS256"]), json!(256)] {
        assert_eq!(
            with_header(json!({ "alg": other })),
            Some(Malformed::HeaderMember)
        );
    }
}

/// RFC 7515 §4.1.11: critical extensions must be understood, and here none is. Even an empty list is invalid.
#[test]
fn extensions_are_refused() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!("exp")),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
    ] {
        let found = with_header(json!({"alg": "RS256", name: value}));
        assert_eq!(found, Some(Malformed::Extension), "{name}");
    }
}

#[test]
fn a_token_must_not_contain_a_key() {
    for (name, value) in [
        ("jwk", jwk(Algorithm::ES256)),
        ("jwk", json!("text")),
        ("salt", json!("AAAA")),
    ] {
        let found = with_header(json!({"alg": "ES256", name: value}));
        assert_eq!(found, Some(Malformed::EmbeddedKey), "{name}");
    }
    let elsewhere = json!({
        "alg": "RS256", "jku": "https://evil.example/keys", "x5u": "file:///etc/passwd",
        "x5c": ["MIIB"], "x5t": "AA", "x5t#S256": "AA",
    });
    assert_eq!(with_header(elsewhere), None);
}

#[test]
fn members_of_the_header_have_their_types() {
    for name in ["kid", "typ", "cty", "jku", "x5u", "x5t", "x5t#S256"] {
        for value in [json!(1), json!(["a"]), json!({"a": 1})] {
            let found = with_header(json!({"alg": "RS256", name: value}));
            assert_eq!(found, Some(Malformed::HeaderMember), "{name}");
        }
        assert_eq!(with_header(json!({"alg": "RS256", name: "text"})), None);
    }
    for value in [json!("MIIB"), json!([1])] {
        let found = with_header(json!({"alg": "RS256", "x5c": value}));
        assert_eq!(found, Some(Malformed::HeaderMember));
    }
    assert_eq!(
        with_header(json!({"alg": "RS256", "x": null, "y": [1], "z": {}})),
        None
    );
}

#[test]
fn registered_claims_have_their_types() {
    for name in ["iss", "sub", "jti", "nonce"] {
        for value in ["1", "true", "[\"a\"]", "{}"] {
            let claims = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(with_claims(&claims), Some(Malformed::Claim), "{claims}");
        }
    }
    for name in ["exp", "nbf", "iat"] {
        for value in ["\"1\"", "-1", "-1.5", "[1]", "true"] {
            let claims = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(with_claims(&claims), Some(Malformed::Claim), "{claims}");
        }
        for value in [
            "0",
            "-0",
            "1.5",
            "1e300",
            "18446744073709551615",
            "99999999999999999999",
        ] {
            let claims = format!(r#"{{"{name}":{value}}}"#);
            assert_eq!(with_claims(&claims), None, "{claims}");
        }
    }
    for value in ["1", "[1]", "[\"a\",null]", "{}"] {
        let claims = format!(r#"{{"aud":{value}}}"#);
        assert_eq!(with_claims(&claims), Some(Malformed::Claim), "{claims}");
    }
    for claims in [
        "{}",
        r#"{"aud":"a"}"#,
        r#"{"aud":[]}"#,
        r#"{"aud":["a","b"]}"#,
        r#"{"iss":"","sub":"","scope":1,"groups":null}"#,
    ] {
        assert_eq!(with_claims(claims), None, "{claims}");
    }
}

/// Case F2.
#[test]
fn null_is_absent() {
    let header = json!({
        "alg": "RS256", "kid": null, "typ": null, "cty": null, "jku": null, "x5u": null,
        "x5t": null, "x5t#S256": null, "x5c": null, "crit": null, "b64": null, "zip": null,
        "jwk": null, "salt": null,
    });
    assert_eq!(with_header(header.clone()), None);
    let token = sign(Algorithm::RS256, &header.to_string(), CLAIMS);
    let token = Token::parse(token.as_bytes()).unwrap();
    assert_eq!((&token.header().kid, &token.header().typ), (&None, &None));
    let none = json!({"alg": null});
    assert_eq!(with_header(none), Some(Malformed::Algorithm));
    let claims = r#"{"iss":null,"sub":null,"jti":null,"nonce":null,"exp":null,"nbf":null,"iat":null,
        "aud":null}"#;
    assert_eq!(with_claims(claims), None);
    // jwt-simple also parses the tokens that the module verifies, and refuses a time that is null.
    for algorithm in Algorithm::ALL {
        let header = but(header.clone(), json!({"alg": algorithm.name()}));
        let token = sign(algorithm, &header.to_string(), claims);
        let is_read = Token::parse(token.as_bytes()).is_ok();
        let is_for_host = !algorithm.is_slow() && !algorithm.is_symmetric();
        assert_eq!(is_read, is_for_host, "{algorithm}");
        let claims = r#"{"iss":null,"sub":null,"jti":null,"nonce":null,"azp":null}"#;
        let token = sign(algorithm, &header.to_string(), claims);
        let found = verify(token.as_bytes(), &set_for(algorithm), &NoHost);
        assert_eq!(found, Some(VerifiedBy::Rust), "{algorithm}");
    }
}

#[test]
fn header_and_payload_are_strict_objects() {
    let duplicate = JsonError::DuplicateMember;
    assert_eq!(
        with(r#"{"alg":"RS256","x":1,"x":1}"#, CLAIMS),
        Some(Malformed::Header(duplicate))
    );
    assert_eq!(
        with_claims(r#"{"realm":{"role":"user","role":"admin"}}"#),
        Some(Malformed::Payload(duplicate))
    );
    assert_eq!(
        with("[]", CLAIMS),
        Some(Malformed::Header(JsonError::NotAnObject))
    );
    assert_eq!(
        with_claims("\"text\""),
        Some(Malformed::Payload(JsonError::NotAnObject))
    );
    assert_eq!(
        with_claims("{}\n{}"),
        Some(Malformed::Payload(JsonError::Syntax))
    );
}

/// Names that can be metric labels and distinguish the reasons.
#[test]
fn labels() {
    assert_eq!(Malformed::Extension.label(), "extension");
    assert_eq!(
        Malformed::Header(JsonError::DuplicateMember).label(),
        "header_duplicate"
    );
    assert_eq!(
        Malformed::Payload(JsonError::TooDeep).label(),
        "payload_not_json"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>) {
        let _ = Token::parse(&bytes);
    }

    #[test]
    fn anything_like_a_token_can_be_read(text in r"[A-Za-z0-9_.-]{0,80}") {
        let _ = Token::parse(text.as_bytes());
    }

    #[test]
    fn any_header_and_payload_can_be_read(
        header in r#"\{("(alg|kid|crit|x)":("RS256"|\[\]|1|\{"a":1\}),?){0,4}\}"#,
        payload: Vec<u8>,
        signature: Vec<u8>,
    ) {
        let _ = fault(format!("{}.{}.{}", encode(header), encode(payload), encode(signature)));
    }
}
