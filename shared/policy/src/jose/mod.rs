//! Signed tokens (JWS, RFC 7515), keys (JWK, RFC 7517) and signatures (JWA, RFC 7518).

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
pub use key_set::{KeySet, KeySetError, MAX_KEYS, MAX_SET, MAX_TRIES, NoKey, Skipped};
pub use signature::{Hash, HostSignatures, VerifiedBy};
pub use token::{Header, MAX_HEADER, MAX_TOKEN, Malformed, Token};
