//! Verification of a signature: by the host if it supports the algorithm, otherwise in Rust.

use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, EdDSAPublicKeyLike as _, HS256Key,
    HS384Key, HS512Key, MACLike as _, NoCustomClaims, PS256PublicKey, PS384PublicKey,
    PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike as _,
    UnixTimeStamp, VerificationOptions,
};

use portcullis_core::signature::{Hash, HostSignatures};

use super::Algorithm::{self, *};
use super::key::{Material, RSA_EXPONENT};
use super::token::MAX_HEADER;
use super::{Key, Token};

/// The verifier of a good signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// The host.
    Host,
    /// jwt-simple, in the module.
    Rust,
}

impl Key {
    /// Verifies a token with this key. `None` if the signature is bad, or if the key is not for the token's algorithm.
    pub fn verify(&self, token: &Token<'_>, host: &impl HostSignatures) -> Option<VerifiedBy> {
        let algorithm = token.header().algorithm;
        if !self.algorithms().contains(&algorithm) {
            return None;
        }
        let (is_good, by) = match self.ask(host, algorithm, token) {
            Some(is_good) => (is_good, VerifiedBy::Host),
            None => (self.verify_in_rust(algorithm, token), VerifiedBy::Rust),
        };
        is_good.then_some(by)
    }

    fn ask(
        &self,
        host: &impl HostSignatures,
        algorithm: Algorithm,
        token: &Token<'_>,
    ) -> Option<bool> {
        let (message, signature) = (token.signing_input(), token.signature());
        // A signature without a DER form goes to jwt-simple, which refuses it before it calculates anything.
        let ecdsa =
            |hash, spki, size| host.verify(hash, spki, message, &ecdsa_der(signature, size)?);
        match (algorithm, &self.material) {
            (RS256, Material::Rsa { spki, .. }) => {
                host.verify(Hash::Sha256, spki, message, signature)
            }
            (RS384, Material::Rsa { spki, .. }) => {
                host.verify(Hash::Sha384, spki, message, signature)
            }
            (RS512, Material::Rsa { spki, .. }) => {
                host.verify(Hash::Sha512, spki, message, signature)
            }
            (ES256, Material::P256 { spki, .. }) => ecdsa(Hash::Sha256, spki, 32),
            (ES384, Material::P384 { spki, .. }) => ecdsa(Hash::Sha384, spki, 48),
            _ => None,
        }
    }

    fn verify_in_rust(&self, algorithm: Algorithm, token: &Token<'_>) -> bool {
        macro_rules! holds {
            ($key:expr) => {
                $key.verify_token::<NoCustomClaims>(token.compact(), Some(signature_only(token)))
                    .is_ok()
            };
        }
        macro_rules! rsa_holds {
            ($Key:ty, $modulus:expr) => {
                <$Key>::from_components($modulus, &RSA_EXPONENT).is_ok_and(|key| holds!(key))
            };
        }
        match (algorithm, &self.material) {
            (HS256, Material::Secret(secret)) => holds!(HS256Key::from_bytes(secret)),
            (HS384, Material::Secret(secret)) => holds!(HS384Key::from_bytes(secret)),
            (HS512, Material::Secret(secret)) => holds!(HS512Key::from_bytes(secret)),
            (RS256, Material::Rsa { modulus, .. }) => rsa_holds!(RS256PublicKey, modulus),
            (RS384, Material::Rsa { modulus, .. }) => rsa_holds!(RS384PublicKey, modulus),
            (RS512, Material::Rsa { modulus, .. }) => rsa_holds!(RS512PublicKey, modulus),
            (PS256, Material::Rsa { modulus, .. }) => rsa_holds!(PS256PublicKey, modulus),
            (PS384, Material::Rsa { modulus, .. }) => rsa_holds!(PS384PublicKey, modulus),
            (PS512, Material::Rsa { modulus, .. }) => rsa_holds!(PS512PublicKey, modulus),
            (ES256, Material::P256 { key, .. }) => holds!(key),
            (ES384, Material::P384 { key, .. }) => holds!(key),
            (EdDSA, Material::Ed25519(key)) => holds!(key),
            _ => false,
        }
    }
}

/// Makes jwt-simple check only the signature. It parses the token again, but [`Token::parse`] has already refused
/// everything that it would refuse. By default it requires a `typ` of `JWT`, or one that ends in `+jwt`; here any `typ`
/// is valid.
fn signature_only(token: &Token<'_>) -> VerificationOptions {
    VerificationOptions {
        artificial_time: Some(UnixTimeStamp::default()),
        time_tolerance: None,
        accept_future: true,
        required_signature_type: token.header().typ.clone(),
        max_token_length: None,
        max_header_length: Some(MAX_HEADER),
        ..Default::default()
    }
}

/// The DER form of an ECDSA signature, which in JOSE is two numbers of full size (RFC 7518 §3.4).
fn ecdsa_der(signature: &[u8], size: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(size)?;
    if s.len() != size {
        return None;
    }
    let (r, s) = (der_integer(r)?, der_integer(s)?);
    let length = u8::try_from(r.len() + s.len())
        .ok()
        .filter(|length| *length < 0x80)?;
    Some([&[0x30, length], &r[..], &s[..]].concat())
}

/// A positive INTEGER of less than 127 bytes.
fn der_integer(big_endian: &[u8]) -> Option<Vec<u8>> {
    let first = big_endian.iter().position(|byte| *byte != 0)?;
    let (_, digits) = big_endian.split_at_checked(first)?;
    let sign: &[u8] = match digits.first()? {
        0x80.. => &[0],
        _ => &[],
    };
    let length = u8::try_from(sign.len() + digits.len()).ok()?;
    Some([&[0x02, length], sign, digits].concat())
}
