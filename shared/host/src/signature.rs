//! Signature verification by Envoy.
//!
//! Envoy offers BoringSSL's verification as a foreign function, for RSA (PKCS #1 v1.5) and ECDSA. It is about ten times
//! as fast as verification in WebAssembly. Argument and result are protobuf messages:
//! `{1: hash, 2: key, 3: signature, 4: text}` and `{1: verdict, 2: error}`.
//!
//! Not every proxy has this function, and one that always answers "good" would be a disaster. So the configuration
//! first verifies signatures with known answers, from `signature/`: a good one for each kind of key and hash, and the
//! same signature over another text, which must fail. (They were made with openssl; the private keys were deleted.)

use portcullis_core::signature::{Hash, HostSignatures};

use crate::abi;

const FUNCTION: &str = "verify_signature";

/// The protobuf wire type of a field that its length precedes.
const LENGTH_DELIMITED: u8 = 2;
/// The first field, a boolean that is true. The message omits a false one.
const VERDICT_TRUE: [u8; 2] = [1 << 3, 1];

/// The proxy's verification of signatures, if it has a reliable one.
#[derive(Clone, Copy, Debug)]
pub struct EnvoySignatures {
    is_reliable: bool,
}

impl EnvoySignatures {
    /// Checks the proxy against known answers. Call it when configuring.
    pub fn probe() -> Self {
        let is_reliable = KNOWN.iter().all(|known| {
            let verdict = |text| verify(known.hash, known.key, known.signature, text);
            verdict(TEXT) == Some(true) && verdict(b"another text") == Some(false)
        });
        Self { is_reliable }
    }

    /// Whether the proxy gave all known answers.
    pub fn is_reliable(self) -> bool {
        self.is_reliable
    }
}

impl HostSignatures for EnvoySignatures {
    fn is_available(&self) -> bool {
        self.is_reliable
    }

    fn verify(&self, hash: Hash, key: &[u8], text: &[u8], signature: &[u8]) -> Option<bool> {
        self.is_reliable
            .then(|| verify(hash, key, signature, text))
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

/// `None` if the proxy cannot verify it.
fn verify(hash: Hash, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
    let fields = [hash.name().as_bytes(), key, signature, text];
    let size = fields.iter().map(|field| field.len() + 8).sum();
    let mut message = Vec::with_capacity(size);
    for (field, number) in fields.iter().zip(1..) {
        message.push(number << 3 | LENGTH_DELIMITED);
        push_varint(&mut message, field.len());
        message.extend_from_slice(field);
    }
    let verdict = abi::call_foreign_function(FUNCTION, &message).ok()?;
    Some(verdict.starts_with(&VERDICT_TRUE))
}

fn push_varint(message: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_varints() {
        for (number, expected) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (16_384, &[0x80, 0x80, 1]),
        ] {
            let mut message = Vec::new();
            push_varint(&mut message, number);
            assert_eq!(message, expected);
        }
    }
}
