//! Tests of tokens, keys and signatures.

mod candidates;
mod host_and_rust;
mod json;
mod key_set;
mod keys;
mod rfc;
mod signatures;
mod signer;
mod token;

use serde_json::{Value, json};

use super::like_envoy::LikeEnvoy;
use super::*;
use signer::{but, jwk, named, sign};

/// A valid payload.
const CLAIMS: &str = r#"{"iss":"https://idp.example","sub":"ada"}"#;

/// A host that verifies nothing.
struct NoHost;

impl HostSignatures for NoHost {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// A plain token, signed with this algorithm.
fn plain(algorithm: Algorithm) -> String {
    sign(algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), CLAIMS)
}

/// The set of these keys.
fn set(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

/// The set of the one key for this algorithm.
fn set_for(algorithm: Algorithm) -> KeySet {
    set(&[jwk(algorithm)]).unwrap()
}

/// Verifies a token with a set; every algorithm is allowed.
fn verify(token: &[u8], keys: &KeySet, host: &impl HostSignatures) -> Option<VerifiedBy> {
    let token = Token::parse(token).ok()?;
    let candidates = keys
        .candidates(token.header(), &Algorithm::ALL, &NoHost)
        .ok()?;
    candidates
        .into_iter()
        .find_map(|key| key.verify(&token, host))
}

/// Whether a token is good with a set, on which the host and the module must agree.
fn is_good(token: &[u8], keys: &KeySet) -> bool {
    let in_rust = verify(token, keys, &NoHost).is_some();
    let by_host = verify(token, keys, &LikeEnvoy).is_some();
    assert_eq!(by_host, in_rust, "{}", String::from_utf8_lossy(token));
    in_rust
}
