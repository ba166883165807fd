//! Headers of tokens, and their signers.

use portcullis_scenarios::tokens::{Algorithm, Key, hmac};
use serde_json::json;

use super::Case;
use super::difference::*;
use super::{Mint, bad, good, milder, stricter};

pub(super) fn cases(mint: &Mint) -> Vec<Case> {
    let mut cases = algorithms(mint);
    cases.extend(signatures(mint));
    cases.extend(members(mint));
    cases
}

fn algorithms(mint: &Mint) -> Vec<Case> {
    let good = |(algorithm, name)| good(name, &mint.with(algorithm));
    [
        (Algorithm::RS256, "RS256"),
        (Algorithm::RS384, "RS384"),
        (Algorithm::RS512, "RS512"),
        (Algorithm::PS256, "PS256"),
        (Algorithm::PS384, "PS384"),
        (Algorithm::PS512, "PS512"),
        (Algorithm::ES256, "ES256"),
        (Algorithm::ES384, "ES384"),
        (Algorithm::EdDSA, "EdDSA"),
        (Algorithm::HS256, "HS256"),
        (Algorithm::HS384, "HS384"),
        (Algorithm::HS512, "HS512"),
    ]
    .map(good)
    .into()
}

fn signatures(mint: &Mint) -> Vec<Case> {
    let token = || mint.token();
    let rs256 = Key::new(Algorithm::RS256, 1);
    let pem = rs256.public_pem();
    let confused = token().header("alg", "HS256");
    let confused = confused.clone().signature(&hmac(
        Algorithm::HS256,
        pem.as_bytes(),
        confused.signing_input().as_bytes(),
    ));
    let elliptic = |algorithm, write: fn(&[u8], &[u8]) -> Vec<u8>| {
        let token = mint.with(algorithm);
        let signature = Key::new(algorithm, 1).sign(token.signing_input().as_bytes());
        let (r, s) = signature.split_at(signature.len() / 2);
        token.signature(&write(r, s))
    };
    let with_byte = |before: &[u8], behind: &[u8]| {
        let signature = rs256.sign(token().signing_input().as_bytes());
        token().signature(&[before, &signature[..], behind].concat())
    };
    let truncated = &rs256.sign(token().signing_input().as_bytes())[..255];
    vec![
        bad(
            "by another key",
            &token().signed_by(&Key::new(Algorithm::RS256, 2)),
        ),
        bad(
            "by another algorithm's key",
            &token().signed_by(&Key::new(Algorithm::ES256, 1)),
        ),
        bad("a signature of zeros", &token().signature(&[0; 256])),
        bad("a truncated signature", &token().signature(truncated)),
        bad("no signature", &token().signature(b"")),
        bad(
            "ES256, r and s zero",
            &mint.with(Algorithm::ES256).signature(&[0; 64]),
        ),
        bad(
            "ES256 with a signature in DER",
            &mint.with(Algorithm::ES256).signature(&[0x30; 71]),
        ),
        bad(
            "PS256, forged",
            &mint.with(Algorithm::PS256).signature(&[1; 256]),
        ),
        bad(
            "ES256, a byte too long",
            &mint.with(Algorithm::ES256).signature(&[1; 65]),
        ),
        stricter(
            "ES256, both numbers with a zero in front",
            &elliptic(Algorithm::ES256, |r, s| [&[0], r, &[0], s].concat()),
            ECDSA,
        ),
        stricter(
            "ES384, both numbers with a zero in front",
            &elliptic(Algorithm::ES384, |r, s| [&[0], r, &[0], s].concat()),
            ECDSA,
        ),
        stricter(
            "ES256, a byte behind",
            &elliptic(Algorithm::ES256, |r, s| [r, s, &[0]].concat()),
            ECDSA,
        ),
        bad(
            "ES256, two bytes behind",
            &elliptic(Algorithm::ES256, |r, s| [r, s, &[0, 0]].concat()),
        ),
        bad(
            "ES256, a byte in front",
            &elliptic(Algorithm::ES256, |r, s| [&[0], r, s].concat()),
        ),
        bad("RS256, a byte in front", &with_byte(&[0], &[])),
        bad("RS256, a byte behind", &with_byte(&[], &[0])),
        bad(
            "EdDSA, forged",
            &mint.with(Algorithm::EdDSA).signature(&[1; 64]),
        ),
        bad(
            "HS256, forged",
            &mint.with(Algorithm::HS256).signature(&[1; 32]),
        ),
        bad("none", &token().header("alg", "none").signature(b"")),
        bad("none, signed", &token().header("alg", "none")),
        bad("None", &token().header("alg", "None").signature(b"")),
        bad("HS256 with the public key as secret", &confused),
        bad(
            "another hash than the key is for",
            &token().header("alg", "RS384"),
        ),
        bad(
            "PS256 with the key of RS256",
            &mint.with(Algorithm::PS256).header("kid", rs256.id()),
        ),
        bad(
            "the key of another issuer",
            &token()
                .signed_by(&Key::new(Algorithm::HS256, 1))
                .header("alg", "HS256")
                .header("kid", "hs256-1"),
        ),
    ]
}

fn members(mint: &Mint) -> Vec<Case> {
    let token = || mint.token();
    let with = |name, value| token().header(name, value);
    vec![
        good("no kid", &token().without_header("kid")),
        bad("an unknown kid", &with("kid", json!("rs256-2"))),
        stricter("an empty kid", &with("kid", json!("")), KEY_ID),
        bad("a kid that is a number", &with("kid", json!(1))),
        milder("a kid that is null", &with("kid", json!(null)), NULL),
        bad("no alg", &token().without_header("alg")),
        bad("an alg in small letters", &with("alg", json!("rs256"))),
        bad("an alg that is an array", &with("alg", json!(["RS256"]))),
        bad("an unknown alg", &with("alg", json!("RS1024"))),
        good("no typ", &token().without_header("typ")),
        good("typ at+jwt", &with("typ", json!("at+jwt"))),
        good(
            "typ in other letters, with application/",
            &with("typ", json!("application/AT+JWT")),
        ),
        stricter("typ logout+jwt", &with("typ", json!("logout+jwt")), TYPE),
        good("typ null", &with("typ", json!(null))),
        good("salt null", &with("salt", json!(null))),
        good("jwk null", &with("jwk", json!(null))),
        good("crit null", &with("crit", json!(null))),
        stricter("salt that is a number", &with("salt", json!(1)), SALT),
        stricter("x5t that is a number", &with("x5t", json!(1)), HEADER_TYPES),
        stricter(
            "cty that is an object",
            &with("cty", json!({})),
            HEADER_TYPES,
        ),
        stricter(
            "a header with a comma too many",
            &token().more_header(r#""x":1,"#),
            JSON,
        ),
        stricter(
            "a header with a member without quotes",
            &token().more_header("x:1"),
            JSON,
        ),
        stricter(
            "a header nested 33 deep",
            &token().more_header(&format!(r#""x":{}{}"#, "[".repeat(33), "]".repeat(33))),
            DEPTH,
        ),
        stricter("salt", &with("salt", json!("AAAA")), SALT),
        stricter("typ JOSE", &with("typ", json!("JOSE")), TYPE),
        stricter("typ that is a number", &with("typ", json!(1)), HEADER_TYPES),
        stricter(
            "crit",
            &with("crit", json!(["exp"])).header("exp", 1),
            CRITICAL,
        ),
        stricter(
            "crit without what is critical",
            &with("crit", json!(["b64"])),
            CRITICAL,
        ),
        stricter("crit that is empty", &with("crit", json!([])), CRITICAL),
        stricter("b64", &with("b64", json!(false)), UNENCODED),
        stricter("zip", &with("zip", json!("DEF")), UNENCODED),
        stricter(
            "jwk",
            &with("jwk", Key::new(Algorithm::RS256, 1).jwk()),
            EMBEDDED_KEY,
        ),
        bad(
            "jwk, and signed with that",
            &with("jwk", Key::new(Algorithm::RS256, 2).jwk())
                .signed_by(&Key::new(Algorithm::RS256, 2)),
        ),
        good(
            "jku and x5u",
            &with("jku", json!("https://a.example")).header("x5u", "https://a.example"),
        ),
        good(
            "x5c and x5t",
            &with("x5c", json!(["MIIB"])).header("x5t", "AA"),
        ),
        stricter(
            "x5c that is a string",
            &with("x5c", json!("MIIB")),
            HEADER_TYPES,
        ),
        stricter("jku that is a number", &with("jku", json!(1)), HEADER_TYPES),
        good("cty", &with("cty", json!("JSON"))),
        good(
            "members that nobody knows",
            &with("x", json!({"y": [1, null]})),
        ),
        bad("alg twice", &token().more_header(r#""alg":"RS256""#)),
        bad(
            "a member that nobody knows, twice",
            &token().more_header(r#""x":1,"x":1"#),
        ),
    ]
}
