//! An issuer: keys, and tokens that are signed with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

/// The claim `iss`.
pub(super) const ISSUER: &str = "https://idp.example";

/// The year 2100.
const LATE: u64 = 4_102_444_800;

/// A key for ES256, by its `kid`.
fn signing_key(kid: &str) -> SigningKey {
    let mut scalar = [7; 32];
    for (byte, letter) in scalar.iter_mut().zip(kid.bytes()) {
        *byte = letter;
    }
    SigningKey::from_slice(&scalar).expect("a number below the order of the curve")
}

/// The public half of a key, as a JWK.
pub(super) fn jwk(kid: &str) -> Value {
    let point = signing_key(kid).verifying_key().to_sec1_point(false);
    let coordinate = |bytes: Option<_>| URL_SAFE_NO_PAD.encode(bytes.expect("not compressed"));
    json!({
        "kty": "EC",
        "crv": "P-256",
        "kid": kid,
        "x": coordinate(point.x()),
        "y": coordinate(point.y()),
    })
}

/// The JWK set of these keys.
pub(super) fn jwks(kids: &[&str]) -> Value {
    let keys: Vec<Value> = kids.iter().map(|kid| jwk(kid)).collect();
    json!({ "keys": keys })
}

/// A token with the usual claims and these; `null` takes a claim away.
pub(super) fn token(claims: Value) -> String {
    token_of("a", claims)
}

/// The same, signed with another key.
pub(super) fn token_of(kid: &str, claims: Value) -> String {
    sign(&json!({"alg": "ES256", "kid": kid}), &usual(claims), kid)
}

/// A token as it should be, but for its signature.
pub(super) fn forged(claims: Value) -> String {
    sign(
        &json!({"alg": "ES256", "kid": "a"}),
        &usual(claims),
        "not a",
    )
}

/// A token with this header and these claims, signed with the key of this `kid`.
pub(super) fn sign(header: &Value, claims: &Value, kid: &str) -> String {
    let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let input = input.join(".");
    let signature: p256::ecdsa::Signature = signing_key(kid).sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// The usual claims and these; `null` takes a claim away.
pub(super) fn usual(claims: Value) -> Value {
    let mut all = json!({"iss": ISSUER, "sub": "ada", "aud": "shop", "exp": LATE});
    if let (Value::Object(all), Value::Object(claims)) = (&mut all, claims) {
        all.extend(claims);
        all.retain(|_, claim| !claim.is_null());
    }
    all
}
