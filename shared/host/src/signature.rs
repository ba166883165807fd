//! Signature verification outside of the policy.
//!
//! Verification by the host takes about a tenth of the time that it takes in WebAssembly. Not every host has it, and
//! one that always answers "good" would be a disaster. So the configuration first verifies signatures with known
//! answers, from `signature/`: a good one for each kind of key and hash, and the same signature over another text,
//! which must fail. (They were made with openssl; the private keys were deleted.)

use portcullis_core::signature::{Hash, HostSignatures};

use crate::backend::backend;

/// The host's verification of signatures, if it has a reliable one.
#[derive(Clone, Copy, Debug)]
pub struct SignatureVerifier {
    is_reliable: bool,
}

impl SignatureVerifier {
    /// Checks the host against known answers. Call it when configuring.
    pub fn probe() -> Self {
        let is_reliable = KNOWN.iter().all(|known| {
            let verdict =
                |text| backend().verify_signature(known.hash, known.key, text, known.signature);
            verdict(TEXT) == Some(true) && verdict(b"another text") == Some(false)
        });
        Self { is_reliable }
    }

    /// Whether the host gave all known answers.
    pub fn is_reliable(self) -> bool {
        self.is_reliable
    }
}

impl HostSignatures for SignatureVerifier {
    fn is_available(&self) -> bool {
        self.is_reliable
    }

    fn verify(&self, hash: Hash, key: &[u8], text: &[u8], signature: &[u8]) -> Option<bool> {
        self.is_reliable
            .then(|| backend().verify_signature(hash, key, text, signature))
            .flatten()
    }
}

/// A good signature of [`TEXT`].
struct Known {
    hash: Hash,
    key: &'static [u8],
    signature: &'static [u8],
}

const TEXT: &[u8] = include_bytes!("signature/text");
const RSA: &[u8] = include_bytes!("signature/rsa.der");

const KNOWN: [Known; 5] = [
    Known {
        hash: Hash::Sha256,
        key: RSA,
        signature: include_bytes!("signature/rsa_sha256.sig"),
    },
    Known {
        hash: Hash::Sha384,
        key: RSA,
        signature: include_bytes!("signature/rsa_sha384.sig"),
    },
    Known {
        hash: Hash::Sha512,
        key: RSA,
        signature: include_bytes!("signature/rsa_sha512.sig"),
    },
    Known {
        hash: Hash::Sha256,
        key: include_bytes!("signature/p256.der"),
        signature: include_bytes!("signature/p256.sig"),
    },
    Known {
        hash: Hash::Sha384,
        key: include_bytes!("signature/p384.der"),
        signature: include_bytes!("signature/p384.sig"),
    },
];
