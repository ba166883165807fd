//! Signed tokens: JWS in its compact serialisation (RFC 7515), the keys to verify them with (JWK,
//! RFC 7517) and the signatures (JWA, RFC 7518; Ed25519, RFC 8037).
//!
//! This module covers only the signature: the rest of the crate handles issuers, audiences, times, HTTP and the
//! fetching of keys. Where a specification leaves a choice, this module takes the strict one; RFC 8725 explains why,
//! attack by attack.
//!
//! ```
//! use jwt_auth_policy::jose::{Algorithm, Hash, HostSignatures, KeySet, Token, VerifiedBy};
//!
//! struct NoHost;
//! impl HostSignatures for NoHost {
//!     fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
//!         None
//!     }
//! }
//!
//! let keys = KeySet::parse(br#"{"keys": [{"kty": "oct",
//!     "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#)
//!     .unwrap();
//! let token = Token::parse(b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOj\
//!     EzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r\
//!     _wW1gFWFOEjXk").unwrap();
//! let by = keys
//!     .candidates(token.header(), &[Algorithm::HS256], &NoHost)
//!     .unwrap()
//!     .into_iter()
//!     .find_map(|key| key.verify(&token, &NoHost));
//! assert_eq!(by, Some(VerifiedBy::Rust));
//! assert_eq!(token.claims().at("iss").unwrap(), "joe");
//! ```
//!
//! # Tokens
//!
//! [`Token::parse`] reads a token without verifying it. It refuses, with the label of [`Malformed`]:
//!
//! | refused | reason |
//! |---|---|
//! | more than [`MAX_TOKEN`] bytes, a header of more than [`MAX_HEADER`] characters, JSON nested deeper than [`MAX_DEPTH`] | the work for a token is bounded before it begins |
//! | other than three parts, none empty | a JWE, JWS in JSON and unsigned tokens are not signed JWTs |
//! | base64url with padding, other characters, or trailing bits that are not zero | a second spelling of a token would be a second token |
//! | a header or payload that is not exactly one JSON object in UTF-8 | a JWT consists of claims (RFC 7519 §7.2) |
//! | a duplicate name in an object, at any depth | two readers could see different content (RFC 7519 §4 allows this check) |
//! | `alg` that is not an [`Algorithm`] | above all `none` |
//! | `crit`, whatever its value | no critical extension is supported (RFC 7515 §4.1.11) |
//! | `b64`, `zip` | they change what the payload means (RFC 7797, RFC 7516) |
//! | `jwk`, `salt` | see [below](#two-verifiers-one-verdict) |
//! | `kid`, `typ`, `cty`, `jku`, `x5u`, `x5t`, `x5t#S256` that are not strings, `x5c` that is not an array of strings | a member must have its defined type |
//! | `iss`, `sub`, `jti`, `nonce` that are not strings, `aud` that is neither a string nor an array of strings, `exp`, `nbf`, `iat` that are not numbers, or are negative | the same (RFC 7519 §4.1) |
//!
//! A member that is `null` counts as absent, in header and claims. This includes times and `aud` if the host verifies
//! the algorithm (RS256, ES256 and their like); jwt-simple refuses those.
//!
//! `jku`, `x5u`, `x5c` and thumbprints are ignored: a token does not choose the source of its key. So are all other
//! members, as RFC 7515 §4 requires. The caller checks `typ`.
//!
//! # Keys
//!
//! [`KeySet::parse`] reads a JWK set of at most [`MAX_SET`] bytes and [`MAX_KEYS`] entries. It skips unusable entries,
//! and [`KeySet::skipped`] gives the reasons: issuers also publish keys for encryption and for newer algorithms. Usable
//! keys are:
//!
//! | `kty` | key | algorithms |
//! |---|---|---|
//! | `RSA` | 2048 to 4096 bits, exponent 65537 | RS256, RS384, RS512, PS256, PS384, PS512 |
//! | `EC` | a point on P-256; on P-384 | ES256; ES384 |
//! | `OKP` | a point of Ed25519 that is not of small order | EdDSA |
//! | `oct` | at least 32 bytes; 48; 64 | HS256; and HS384; and HS512 |
//!
//! `alg` narrows the last column to one algorithm. `use`, if present, is `sig`, or a value that the caller accepts
//! ([`KeySet::parse_for`]); `key_ops`, if present, contains `verify`. A member that is `null`, an empty string or an
//! empty array counts as absent. Private keys are skipped: a set with one is a leak that must not go unnoticed.
//! Certificates (`x5c`) are ignored.
//!
//! Several usable keys may have the same `kid` if they serve different algorithms (RFC 7517 §4.5). An unusable entry
//! counts as absent, so it does not occupy its `kid`; identical entries count once. Of two different keys with the same
//! `kid` and algorithm, neither verifies tokens for that pair: those tokens are refused, the rest of the set is used.
//!
//! A set is refused as a whole if it mixes secrets with public keys, or if it has no usable key
//! ([`KeySetError::Empty`], which a caller may treat separately).
//!
//! # Choice of a key
//!
//! [`KeySet::candidates`] chooses by `kid` and algorithm. The token's `alg` must be in the caller's list and among those
//! of the key; so the token chooses only among algorithms that both allow, and a public key never serves as a secret.
//!
//! - A token with `kid` is tried with the key of that `kid` and no other. If several keys have it, the token's
//!   algorithm selects one; if two different ones remain, the result is [`NoKey::Ambiguous`].
//! - If no key has that `kid`, the token is tried with the keys that have none: sets of a single key often leave it out.
//!   If all keys have one, the result is [`NoKey::UnknownKid`], and a newer set may have the key.
//! - A token without `kid` is tried with every key.
//!
//! At most [`MAX_TRIES`] keys of the right algorithm are tried, and only one if the module itself has to verify a
//! signature of a public key ([`MAX_SLOW_TRIES`]). If there are more, none is tried: the order of a set must not decide
//! whether a token is valid.
//!
//! # Two verifiers, one verdict
//!
//! [`Key::verify`] asks the host first ([`HostSignatures`]), because Envoy's `verify_signature` takes a tenth of the
//! time or less: for RS256, RS384, RS512, ES256 and ES384. jwt-simple verifies everything else, and everything if the
//! host lacks the function.
//!
//! The host sees only the signature, while jwt-simple reads the token a second time with rules of its own. Both give
//! the same verdict, because
//!
//! - [`Token::parse`] first refuses everything that jwt-simple would refuse: `jwk`, which it expects as a string where
//!   RFC 7515 has an object; `salt`, its own extension; claims and members of wrong types;
//! - its checks of time and `typ` are turned off, and its Rust type for the key fixes the algorithm.
//!
//! An ECDSA signature is two numbers of full size (RFC 7518 §3.4), which become DER for the host. The host is not asked
//! about another size, or a zero; both refuse other numbers out of range. With (r, s), (r, n − s) is also valid, so
//! neither a token nor its hash identifies its content: revocation uses `jti`.

mod algorithm;
mod base64url;
mod claims;
mod json;
mod key;
mod key_set;
#[cfg(test)]
mod like_envoy;
mod signature;
#[cfg(test)]
mod tests;
mod token;

pub use algorithm::{Algorithm, UnsupportedAlgorithm};
pub use json::{JsonError, MAX_DEPTH, Object};
pub use key::{Key, Unusable};
pub use key_set::{
    KeySet, KeySetError, MAX_KEYS, MAX_SET, MAX_SLOW_TRIES, MAX_TRIES, NoKey, SIGNATURES, Skipped,
};
pub use portcullis_core::signature::{Hash, HostSignatures};
pub use signature::VerifiedBy;
pub use token::{Header, HeaderCache, MAX_HEADER, MAX_TOKEN, Malformed, Token};
