//! The issuer in these scenarios. Its tokens are valid until the year 2100, so no scenario depends on the date.

use serde_json::{Value, json};

use crate::tokens::{self, Algorithm, Key, Token};

/// The claim `iss`.
pub(super) const ISSUER: &str = "https://idp.example";

/// The year 2100.
pub(super) const LATE: u64 = 4_102_444_800;

/// The key with this `kid`: one for `a`, one for `b`, one for all others.
fn key(kid: &str) -> Key {
    let number = match kid {
        "a" => 1,
        "b" => 2,
        _ => 3,
    };
    Key::new(Algorithm::ES256, number).named(kid)
}

/// The JWK set with these keys.
pub(super) fn jwks(kids: &[&str]) -> Value {
    let keys: Vec<Key> = kids.iter().map(|kid| key(kid)).collect();
    tokens::jwks(&keys)
}

/// A token with the usual claims and these; `null` removes a claim.
pub(super) fn token(claims: Value) -> String {
    token_of("a", claims)
}

/// The same, signed with another key.
pub(super) fn token_of(kid: &str, claims: Value) -> String {
    unsigned(kid, &claims).sign()
}

/// A token with a bad signature, and otherwise valid.
pub(super) fn forged(claims: Value) -> String {
    unsigned("a", &claims).signed_by(&key("another")).sign()
}

/// A token with the usual claims and this header.
pub(super) fn token_with(header: &Value) -> String {
    unsigned("a", &json!({}))
        .raw_header(header.to_string())
        .sign()
}

fn unsigned(kid: &str, claims: &Value) -> Token {
    let usual = Token::new(&key(kid))
        .claim("iss", ISSUER)
        .claim("sub", "ada")
        .claim("aud", "shop")
        .claim("exp", LATE);
    let claims = claims.as_object().into_iter().flatten();
    claims.fold(usual, |token, (name, claim)| match claim {
        Value::Null => token.without(name),
        claim => token.claim(name, claim.clone()),
    })
}
