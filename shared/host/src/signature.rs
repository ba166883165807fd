//! Signatures, checked by Envoy.
//!
//! Envoy offers BoringSSL's verification as a foreign function, for RSA (PKCS #1 v1.5) and ECDSA. It is
//! some ten times as fast as the same in WebAssembly. Argument and result are protobuf messages:
//! `{1: hash, 2: key, 3: signature, 4: text}` and `{1: verdict, 2: error}`.
//!
//! Not every proxy has it, and one that answers always "good" would be a disaster. So it is asked for
//! signatures of which the answer is known, in `signature/`: one for each kind of key and hash, and the
//! same over another text. (They were made with openssl; the private keys are gone.)

use portcullis_core::signature::{Hash, HostSignatures};

use crate::abi;

const FUNCTION: &str = "verify_signature";

/// The wire type of a field with its length before it.
const LENGTH_DELIMITED: u8 = 2;
/// The first field, a truth value that is true. False is left out of the message.
const VERDICT_TRUE: [u8; 2] = [1 << 3, 1];

/// The verification of the proxy, if it has one that can be relied on.
#[derive(Clone, Copy, Debug)]
pub struct EnvoySignatures {
    is_reliable: bool,
}

impl EnvoySignatures {
    /// Asks the proxy for the known answers. Call it when configuring.
    pub fn probe() -> Self {
        let is_reliable = KNOWN.iter().all(|known| {
            let verdict = |text| verify(known.hash, known.key, known.signature, text);
            verdict(TEXT) == Some(true) && verdict(b"another text") == Some(false)
        });
        Self { is_reliable }
    }

    /// Whether the proxy verifies signatures.
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

/// A signature that is good for [`TEXT`].
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

/// `None` when this proxy cannot tell.
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
