//! Verification of signatures within the process.
//!
//! The library is AWS-LC, which has BoringSSL's parsers and arithmetic, so the verdicts are those of Envoy's
//! `verify_signature`. Measured with the text and the keys of the known answers, per signature:
//!
//! | | RS256, 2048 bits | ES256 | in a library |
//! |---|---|---|---|
//! | aws-lc-rs 1.19.0 | 314,000 instructions, 14.6 µs | 727,000 instructions, 40 µs | 3.0 MB |
//! | ring 0.17.14 | 393,000 instructions, 17.1 µs | 746,000 instructions, 40 µs | 0.6 MB |
//!
//! Both need a C compiler and nothing else to build.
//!
//! | key | hashes |
//! |---|---|
//! | RSA of 2048 to 8192 bits, PKCS #1 v1.5 | SHA-256, SHA-384, SHA-512 |
//! | ECDSA on P-256 and on P-384 | the same |
//!
//! Nothing is kept: each verification parses the key, which is a tenth of the time with RSA, and less with ECDSA.

use std::ops::RangeInclusive;

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use portcullis_core::signature::Hash;

// DER tags.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// The bits of an RSA modulus that AWS-LC takes; of another one it would say that every signature is bad.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// The AlgorithmIdentifier of rsaEncryption (RFC 3279 §2.3.1), in DER.
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// The AlgorithmIdentifier of id-ecPublicKey with secp256r1 (RFC 5480 §2.1.1), in DER.
const P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// The same with secp384r1.
const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";

/// Whether the signature of the message is valid. `None` if this is not a key of the table above, so that the caller
/// must verify the signature itself.
///
/// The formats are those of [`HostSignatures`](portcullis_core::signature::HostSignatures).
pub fn verify(hash: Hash, spki_der: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = ParsedPublicKey::new(algorithm(hash, spki_der)?, spki_der).ok()?;
    Some(key.verify_sig(message, signature).is_ok())
}

/// The algorithm for a key. AWS-LC checks the key itself; it would also accept other formats than a
/// SubjectPublicKeyInfo.
fn algorithm(hash: Hash, spki_der: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    let content = only(SEQUENCE, spki_der)?;
    if let Some(key) = content.strip_prefix(RSA) {
        if !RSA_BITS.contains(&bits_of_modulus(key)?) {
            return None;
        }
        return Some(match hash {
            Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        });
    }
    if content.starts_with(P256) {
        return Some(match hash {
            Hash::Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
            Hash::Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
            Hash::Sha512 => &signature::ECDSA_P256_SHA512_ASN1,
        });
    }
    if content.starts_with(P384) {
        return Some(match hash {
            Hash::Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
            Hash::Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
            Hash::Sha512 => &signature::ECDSA_P384_SHA512_ASN1,
        });
    }
    None
}

/// The bits of the modulus in the BIT STRING of an RSA key, which holds an `RSAPublicKey` (RFC 8017 §A.1.1).
fn bits_of_modulus(key: &[u8]) -> Option<usize> {
    let key = only(BIT_STRING, key)?.strip_prefix(&[0])?;
    let (modulus, _) = element(INTEGER, only(SEQUENCE, key)?)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let zeros = modulus.first()?.leading_zeros() as usize;
    Some((modulus.len() * 8).saturating_sub(zeros))
}

/// The content of an element that is all of the input.
fn only(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (content, rest) = element(tag, der)?;
    rest.is_empty().then_some(content)
}

/// The content of the element at the start, and the rest. No key is longer than two bytes of length can say.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (length, rest) = match rest {
        [length @ ..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
