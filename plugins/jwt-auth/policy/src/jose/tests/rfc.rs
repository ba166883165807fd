//! The examples of the RFCs.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::signer::{ED25519_X, SECRET, signature};
use super::*;
use crate::jose::base64url::encode;

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515 A.1 to A.3: header and signature.
const JWS: [(Algorithm, &str, &str); 3] = [
    (
        Algorithm::HS256,
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ),
    (
        Algorithm::RS256,
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
         jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb\
         1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO\
         YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        Algorithm::ES256,
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
];

#[test]
fn the_tokens_of_rfc_7515_verify() {
    for (algorithm, header, signature) in JWS {
        let token = format!("{header}.{PAYLOAD}.{signature}");
        let keys = set_for(algorithm);
        assert_eq!(
            verify(token.as_bytes(), &keys, &NoHost),
            Some(VerifiedBy::Rust),
            "{algorithm}"
        );
        assert!(is_good(token.as_bytes(), &keys), "{algorithm}");
        let token = Token::parse(token.as_bytes()).unwrap();
        assert_eq!(token.header().algorithm, algorithm);
        assert_eq!(token.claims().get("iss"), Some(&json!("joe")));
        assert_eq!(token.claims().get("exp"), Some(&json!(1_300_819_380)));
        assert_eq!(
            token.claims().at("http://example.com/is_root"),
            Some(&json!(true))
        );
        assert!(token.payload().starts_with(b"{\"iss\":\"joe\",\r\n"));
    }
}

/// A.5, an unsigned token, and A.6, one in JSON.
#[test]
fn unsigned_tokens_and_json_of_rfc_7515_are_refused() {
    let unsigned = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
    assert_eq!(
        Token::parse(unsigned.as_bytes()).err(),
        Some(Malformed::NotCompact)
    );
    let unsigned = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.AA");
    assert_eq!(
        Token::parse(unsigned.as_bytes()).err(),
        Some(Malformed::Algorithm)
    );
    let (_, protected, signature) = JWS[2];
    let in_json =
        format!(r#"{{"payload":"{PAYLOAD}","protected":"{protected}","signature":"{signature}"}}"#);
    assert_eq!(
        Token::parse(in_json.as_bytes()).err(),
        Some(Malformed::NotCompact)
    );
}

/// The key of §3.2 is for ES512, which is not supported; the key of §3.4 has the same `kid`; §3.5 and §3.6 are secrets,
/// one of them for encryption.
#[test]
fn the_keys_of_rfc_7520() {
    let p521 = json!({
        "kty": "EC", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "crv": "P-521",
        "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
        "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
    });
    let rsa = json!({
        "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB",
        "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_\
              AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpP\
              e7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg\
              _3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
    });
    let keys = set(&[p521, rsa]).unwrap();
    assert_eq!(keys.keys().len(), 1);
    assert_eq!(
        keys.skipped()[0].to_string(),
        "keys[0] (kid \"bilbo.baggins@hobbiton.example\"): unknown key type or curve"
    );
    let mac = json!({
        "kty": "oct", "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037", "use": "sig", "alg": "HS256",
        "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    });
    let encryption = json!({
        "kty": "oct", "kid": "1e571774-2e08-40da-8308-e8d68773842d", "use": "enc", "alg": "A256GCM",
        "k": "AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8",
    });
    let keys = set(&[mac, encryption]).unwrap();
    assert_eq!(keys.algorithms(), [Algorithm::HS256]);
    assert_eq!(keys.skipped()[0].reason, Unusable::Use);
}

/// RFC 7520 and RFC 8037 A.4 sign plain text: a JWS can have any payload, a JWT has claims.
#[test]
fn a_signed_text_is_not_a_token() {
    let frodo = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZX\
                 Agb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtu\
                 b3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
    let mac = format!(
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.{frodo}.\
         s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"
    );
    let ed25519 = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG\
                   cvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    for text in [mac.as_str(), ed25519] {
        assert_eq!(
            Token::parse(text.as_bytes()).err(),
            Some(Malformed::Payload(JsonError::Syntax))
        );
    }
}

/// Ed25519 is deterministic: the signer reproduces the signature of RFC 8037 A.4, so it also signs tokens correctly.
#[test]
fn the_key_of_rfc_8037_verifies_tokens() {
    let signed = signature(
        Algorithm::EdDSA,
        b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    );
    assert_eq!(
        encode(signed),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    let keys = set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": ED25519_X})]).unwrap();
    let token = plain(Algorithm::EdDSA);
    assert_eq!(
        verify(token.as_bytes(), &keys, &NoHost),
        Some(VerifiedBy::Rust)
    );
}

/// RFC 9864 gives EdDSA on this curve its own name.
#[test]
fn ed25519_has_two_names() {
    let token = sign(Algorithm::EdDSA, r#"{"alg":"Ed25519"}"#, CLAIMS);
    let keys =
        set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "alg": "Ed25519"})]).unwrap();
    assert_eq!(
        verify(token.as_bytes(), &keys, &NoHost),
        Some(VerifiedBy::Rust)
    );
    assert_eq!(
        serde_json::from_str::<Algorithm>("\"Ed25519\"").unwrap(),
        Algorithm::EdDSA
    );
    assert_eq!(
        serde_json::from_str::<Algorithm>("\"EdDSA\"").unwrap(),
        Algorithm::EdDSA
    );
}

/// RFC 7518 §3.2: a secret is at least as long as the hash. The one of A.1 has 64 bytes.
#[test]
fn the_secret_of_rfc_7515_is_long_enough_for_all() {
    let keys = set(&[json!({"kty": "oct", "k": SECRET})]).unwrap();
    assert_eq!(
        keys.algorithms(),
        [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
    );
}
