//! Signed tokens: JWS in its compact serialisation (RFC 7515), the keys to verify them with (JWK,
//! RFC 7517) and the signatures (JWA, RFC 7518; Ed25519, RFC 8037).
//!
//! This is about who signed what, and no more: issuers, audiences and times, HTTP and the fetching of
//! keys are jwt-auth's. Where a specification leaves a choice, the strict one is taken; RFC 8725 says
//! why, attack by attack.
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
//! | what | why |
//! |---|---|
//! | more than [`MAX_TOKEN`] bytes, a header of more than [`MAX_HEADER`] characters, JSON nested deeper than [`MAX_DEPTH`] | the work for a token is bounded before it begins |
//! | other than three parts, none empty | a JWE, JWS in JSON and unsigned tokens are something else |
//! | base64url with padding, other characters, or bits that lead nowhere | a second spelling of a token would be a second token |
//! | a header or payload that is not exactly one JSON object in UTF-8 | a JWT is of claims (RFC 7519 §7.2) |
//! | a name that stands twice in an object, at any depth | two readers could see two contents (RFC 7519 §4 lets us) |
//! | `alg` that is none of [`Algorithm`] | `none`, above all |
//! | `crit`, whatever is in it | nothing critical is understood here (RFC 7515 §4.1.11) |
//! | `b64`, `zip` | with them the payload is something else than it looks (RFC 7797, RFC 7516) |
//! | `jwk`, `salt` | see [below](#two-ways-one-verdict) |
//! | `kid`, `typ`, `cty`, `jku`, `x5u`, `x5t`, `x5t#S256` that are no strings, `x5c` that is no array of strings | what has a type has to have it |
//! | `iss`, `sub`, `jti`, `nonce` that are no strings, `aud` that is neither a string nor an array of strings, `exp`, `nbf`, `iat` that are no numbers or negative | the same (RFC 7519 §4.1) |
//!
//! A member that is `null` is absent, in header and claims. Times and `aud` are no exception where the host
//! verifies (RS256, ES256 and the like); jwt-simple refuses those.
//!
//! `jku`, `x5u`, `x5c` and thumbprints are read over: a token does not say where its key is from. All
//! other members are ignored, as RFC 7515 §4 has it. What `typ` has to be is for the caller to say.
//!
//! # Keys
//!
//! [`KeySet::parse`] reads a JWK set of at most [`MAX_SET`] bytes and [`MAX_KEYS`] entries. Entries that
//! are unusable here are skipped, and [`KeySet::skipped`] says why: issuers publish keys for encryption
//! and for newer algorithms beside those that matter. Usable is:
//!
//! | `kty` | the key | for |
//! |---|---|---|
//! | `RSA` | 2048 to 4096 bits, exponent 65537 | RS256, RS384, RS512, PS256, PS384, PS512 |
//! | `EC` | a point on P-256; on P-384 | ES256; ES384 |
//! | `OKP` | a point of Ed25519 that is not of small order | EdDSA |
//! | `oct` | at least 32 bytes; 48; 64 | HS256; and HS384; and HS512 |
//!
//! `alg` narrows the last column down to one. `use`, if there, is `sig`, or what the caller names
//! ([`KeySet::parse_for`]); `key_ops`, if there, has `verify`. A member that is `null`, or an empty text or
//! array, is not there. Private keys are skipped: a set that has one is a leak, which must not go unnoticed.
//! Certificates (`x5c`) are not looked at.
//!
//! Usable keys of one `kid` are told apart by what they are for (RFC 7517 §4.5). An entry that is unusable
//! is as good as absent, so it takes no name from another one; identical entries are one. Of two keys of one
//! `kid` and algorithm, neither is trusted with the other's tokens: those are refused, the set is not.
//!
//! A set as a whole is refused if it mixes secrets with public keys, or if nothing in it is usable ([`KeySetError::Empty`], which a caller may want to treat apart).
//!
//! # Which key
//!
//! [`KeySet::candidates`] chooses by `kid` and algorithm. The token's `alg` must be in the caller's list
//! and among those of the key; so the token chooses among what both allow, and a public key is never
//! taken for a secret.
//!
//! - A token with `kid` is tried with the key of that name, of several with the one for its algorithm, and
//!   no other. If two different ones are for it, that is [`NoKey::Ambiguous`].
//! - If no key has that name, it is tried with the keys that have none: sets of a single key are often
//!   written without. If all have one, that is [`NoKey::UnknownKid`], which a fresh set may cure.
//! - A token without `kid` is tried with every key.
//!
//! At most [`MAX_TRIES`] keys of the right algorithm are tried, and only one where the module itself has
//! to verify a signature of a public key ([`MAX_SLOW_TRIES`]). If there are more, none is: a token must
//! not be good or bad depending on the order of a set.
//!
//! # Two ways, one verdict
//!
//! [`Key::verify`] asks the host first ([`HostSignatures`]), since Envoy's `verify_signature` takes a
//! tenth of the time or less: for RS256, RS384, RS512, ES256 and ES384. Everything else, and everything
//! when the host has no such function, is verified by jwt-simple.
//!
//! The host sees a signature and nothing else, while jwt-simple reads the token a second time and has
//! views of its own. Whichever is asked, the verdict is the same, because
//!
//! - what jwt-simple would refuse, [`Token::parse`] refuses first: `jwk`, which it takes for a string
//!   where RFC 7515 has an object; `salt`, its own extension; claims and members of wrong types;
//! - its checks of time and `typ` are turned off, and it gets the key's algorithm by its Rust type.
//!
//! An ECDSA signature is two numbers of full size (RFC 7518 §3.4), which become DER for the host. What
//! has another size, or a zero, is not put to it; other numbers out of range both refuse. A valid (r, s)
//! has a twin (r, n − s) that is valid, too, so neither a token nor its hash is a name for what it says:
//! revocation goes by `jti`.

mod algorithm;
mod base64url;
mod claims;
mod json;
mod key;
mod key_set;
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
