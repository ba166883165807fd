//! Signatures that a host verifies for a policy.

/// The hash function of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The name that Envoy uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// A host that verifies RSA PKCS#1 v1.5 and ECDSA signatures, much faster than a WebAssembly module can.
pub trait HostSignatures {
    /// Whether the host can verify signatures. If not, the module verifies all of them itself, slowly.
    fn is_available(&self) -> bool {
        true
    }

    /// Whether the signature of the message is valid; `None` if this host cannot verify it.
    ///
    /// The key is a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in DER. An ECDSA signature is an
    /// `Ecdsa-Sig-Value` (RFC 3279 §2.2.3) in DER, an RSA signature is plain.
    fn verify(&self, hash: Hash, spki_der: &[u8], message: &[u8], signature: &[u8])
    -> Option<bool>;
}
