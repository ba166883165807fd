//! A host for tests.
//!
//! `shared/dynamic-module` runs these tests with a file of its own in place of this one: there the host is the native
//! library's verifier.

use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Hash, HostSignatures};

/// Verifies the same algorithms as Envoy's `verify_signature`: RSA PKCS#1 v1.5 and ECDSA.
pub(super) struct LikeEnvoy;

impl HostSignatures for LikeEnvoy {
    fn verify(&self, hash: Hash, spki: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
        use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
        use p256::pkcs8::DecodePublicKey as _;
        use rsa::pkcs8::DecodePublicKey as _;

        let (digest, padding) = match hash {
            Hash::Sha256 => (
                Sha256::digest(message).to_vec(),
                Pkcs1v15Sign::new::<Sha256>(),
            ),
            Hash::Sha384 => (
                Sha384::digest(message).to_vec(),
                Pkcs1v15Sign::new::<Sha384>(),
            ),
            Hash::Sha512 => (
                Sha512::digest(message).to_vec(),
                Pkcs1v15Sign::new::<Sha512>(),
            ),
        };
        if let Ok(key) = RsaPublicKey::from_public_key_der(spki) {
            return Some(key.verify(padding, &digest, signature).is_ok());
        }
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(spki) {
            let signature = p256::ecdsa::DerSignature::from_bytes(signature);
            return Some(signature.is_ok_and(|der| key.verify_prehash(&digest, &der).is_ok()));
        }
        let key = p384::ecdsa::VerifyingKey::from_public_key_der(spki).unwrap();
        let signature = p384::ecdsa::DerSignature::from_bytes(signature);
        Some(signature.is_ok_and(|der| key.verify_prehash(&digest, &der).is_ok()))
    }
}
