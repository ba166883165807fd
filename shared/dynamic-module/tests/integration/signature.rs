//! Verification of signatures: known answers, other keys, and signatures in other forms.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::EncodePublicKey as _;
use portcullis_core::signature::Hash;
use portcullis_dynamic_module::signature::verify;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A file of the known answers for Envoy.
macro_rules! known {
    ($file:literal) => {
        include_bytes!(concat!("../../../host/src/signature/", $file))
    };
}

const TEXT: &[u8] = known!("text");
const RSA: &[u8] = known!("rsa.der");
const P256: &[u8] = known!("p256.der");
const P384: &[u8] = known!("p384.der");

const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

/// Good signatures of [`TEXT`].
const KNOWN: [(Hash, &[u8], &[u8]); 5] = [
    (Hash::Sha256, RSA, known!("rsa_sha256.sig")),
    (Hash::Sha384, RSA, known!("rsa_sha384.sig")),
    (Hash::Sha512, RSA, known!("rsa_sha512.sig")),
    (Hash::Sha256, P256, known!("p256.sig")),
    (Hash::Sha384, P384, known!("p384.sig")),
];

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

#[test]
fn known_answers() {
    for (hash, key, signature) in KNOWN {
        assert_eq!(verify(hash, key, TEXT, signature), Some(true));
        assert_eq!(verify(hash, key, b"another text", signature), Some(false));
        assert_eq!(verify(hash, key, b"", signature), Some(false));
        for other in HASHES.into_iter().filter(|other| *other != hash) {
            assert_eq!(verify(other, key, TEXT, signature), Some(false));
        }
        for (_, other, _) in KNOWN.into_iter().filter(|(_, other, _)| *other != key) {
            assert_eq!(verify(hash, other, TEXT, signature), Some(false));
        }
    }
}

/// BoringSSL verifies ECDSA with any hash.
#[test]
fn a_curve_has_any_hash() {
    let p256 = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let p384 = p384::ecdsa::SigningKey::from_slice(&[9; 48]).unwrap();
    let p256_spki = p256.verifying_key().to_public_key_der().unwrap();
    let p384_spki = p384.verifying_key().to_public_key_der().unwrap();
    for hash in HASHES {
        let digest = digest(hash, TEXT);
        let by_p256: p256::ecdsa::DerSignature = p256.sign_prehash(&digest).unwrap();
        let found = verify(hash, p256_spki.as_bytes(), TEXT, by_p256.as_bytes());
        assert_eq!(found, Some(true), "{hash:?}");
        let by_p384: p384::ecdsa::DerSignature = p384.sign_prehash(&digest).unwrap();
        let found = verify(hash, p384_spki.as_bytes(), TEXT, by_p384.as_bytes());
        assert_eq!(found, Some(true), "{hash:?}");
    }
}

/// An RSA key as a SubjectPublicKeyInfo.
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = [der(2, modulus), der(2, exponent)].concat();
    let identifier = &RSA[4..19];
    let bits = [&[0], &der(0x30, &key)[..]].concat();
    der(0x30, &[identifier, &der(3, &bits)].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u16::try_from(content.len()).unwrap().to_be_bytes() {
        [0, length @ ..0x80] => vec![length],
        [0, length] => vec![0x81, length],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag], &length[..], content].concat()
}

/// A number of this size, which begins with a zero for its sign.
fn modulus(bytes: usize) -> Vec<u8> {
    [&[0, 0xff][..], &vec![0x55; bytes - 1]].concat()
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    for (bytes, expected) in [
        (256, Some(false)),
        (512, Some(false)),
        (1024, Some(false)),
        (128, None),
        (255, None),
        (1025, None),
        (2048, None),
    ] {
        let key = rsa_spki(&modulus(bytes), &[1, 0, 1]);
        for hash in HASHES {
            let found = verify(hash, &key, TEXT, &vec![1; bytes]);
            assert_eq!(found, expected, "{bytes} {hash:?}");
        }
    }
    // 2047 bits.
    let mut number = modulus(256);
    number[1] = 0x7f;
    let key = rsa_spki(&number, &[1, 0, 1]);
    assert_eq!(verify(Hash::Sha256, &key, TEXT, &[1; 256]), None);
    for exponent in [&[1][..], &[2], &[0], &[1, 0, 0], &[3, 0, 0, 0, 0, 1]] {
        let key = rsa_spki(&modulus(256), exponent);
        let found = verify(Hash::Sha256, &key, TEXT, &[1; 256]);
        assert_eq!(found, None, "{exponent:?}");
    }
}

#[test]
fn an_rsa_signature_has_the_size_of_the_key() {
    for (hash, key, signature) in KNOWN.into_iter().filter(|(_, key, _)| *key == RSA) {
        for wrong in [
            &signature[1..],
            &signature[..255],
            &[&[0], signature].concat(),
            &[signature, &[0]].concat(),
            &[0; 256],
            &[0xff; 256],
            &[],
        ] {
            assert_eq!(verify(hash, key, TEXT, wrong), Some(false));
        }
    }
}

/// Only DER, as with BoringSSL: another spelling of a signature is another token.
#[test]
fn an_ecdsa_signature_has_one_spelling() {
    for (hash, key, good) in KNOWN.into_iter().filter(|(_, key, _)| *key != RSA) {
        let (numbers, r_size) = (&good[2..], usize::from(good[3]));
        let (r, s) = (&numbers[2..2 + r_size], &numbers[4 + r_size..]);
        let sequence = |r: &[u8], s: &[u8]| der(0x30, &[der(2, r), der(2, s)].concat());
        assert_eq!(verify(hash, key, TEXT, &sequence(r, s)), Some(true));
        let padded = |number: &[u8]| [&[0], number].concat();
        let unsigned = r.strip_prefix(&[0]).unwrap_or(r);
        for wrong in [
            sequence(&padded(r), s),
            sequence(r, &padded(s)),
            sequence(&[], s),
            sequence(&[0], s),
            sequence(r, &[0]),
            sequence(&[&[0xff], unsigned].concat(), s),
            sequence(s, r),
            [good, &[0]].concat(),
            good[..good.len() - 1].to_vec(),
            // A length in two bytes where one is enough, or of indefinite form.
            [&[0x30, 0x81], &good[1..]].concat(),
            [&[0x30, 0x80], numbers, &[0, 0]].concat(),
            der(0x31, numbers),
            der(0x30, &[numbers, &der(2, &[1])].concat()),
            // Two numbers of full size, as in JOSE.
            [r, s].concat(),
            Vec::new(),
        ] {
            assert_eq!(verify(hash, key, TEXT, &wrong), Some(false), "{wrong:x?}");
        }
    }
}

#[test]
fn other_keys_are_left_to_the_caller() {
    let ed25519 = [
        &b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..],
        &[7; 32],
    ]
    .concat();
    let without_null = der(0x30, &[&der(0x30, &RSA[6..17])[..], &RSA[19..]].concat());
    let mut off_curve = P256.to_vec();
    off_curve[90] ^= 1;
    let mut infinity = P256[..26].to_vec();
    infinity.push(0);
    infinity[1] = 25;
    infinity[24] = 2;
    for key in [
        &ed25519[..],
        &without_null,
        // Without the frame: an RSAPublicKey, points.
        &RSA[24..],
        &P256[26..],
        &P384[23..],
        &off_curve,
        &infinity,
        &[P256, &[0]].concat(),
        &RSA[..RSA.len() - 1],
        &[0x30, 0],
        &[0x30, 0x82],
        &[],
    ] {
        for hash in HASHES {
            assert_eq!(verify(hash, key, TEXT, &[1; 64]), None, "{key:x?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A changed bit, anywhere.
    #[test]
    fn a_changed_signature_is_bad(which in 0..KNOWN.len(), at: prop::sample::Index, bit in 0..8) {
        let (hash, key, good) = KNOWN[which];
        let mut changed = good.to_vec();
        changed[at.index(good.len())] ^= 1_u8 << bit;
        prop_assert_eq!(verify(hash, key, TEXT, &changed), Some(false));
    }

    /// No key, however wrong, makes a signature good, nor ends the process.
    #[test]
    fn a_changed_key_verifies_nothing(which in 0..KNOWN.len(), at: prop::sample::Index, byte: u8) {
        let (hash, key, good) = KNOWN[which];
        let mut changed = key.to_vec();
        changed[at.index(key.len())] = byte;
        let found = verify(hash, &changed, TEXT, good);
        prop_assert_eq!(found == Some(true), changed == key);
    }

    #[test]
    fn any_bytes_are_no_key(key in prop::collection::vec(any::<u8>(), 0..200)) {
        for (hash, _, good) in KNOWN {
            prop_assert_eq!(verify(hash, &key, TEXT, good), None);
        }
    }
}
