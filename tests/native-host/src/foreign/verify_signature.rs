//! Envoy's foreign function `verify_signature`.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::Pkcs1v15Sign;
use rsa::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::status::Status;

/// The argument is a protobuf message of four byte strings: 1 the hash
/// function, 2 the public key (DER, SubjectPublicKeyInfo), 3 the signature (PKCS#1 v1.5 for RSA,
/// DER for ECDSA), 4 the text. The answer is a message too: 1 whether the signature is good, 2 why
/// not.
///
/// Only a message that cannot be read, or one without a key, is a `BadArgument`; all else that is
/// wrong is an answer.
pub(super) fn verify_signature(argument: &[u8]) -> Result<Vec<u8>, Status> {
    let [hash, key, signature, text] = read_strings(argument).ok_or(Status::BadArgument)?;
    if key.is_empty() {
        return Err(Status::BadArgument);
    }
    let (digest, scheme) = match hash.to_ascii_lowercase().as_slice() {
        b"sha224" => (
            Sha224::digest(&text).to_vec(),
            Pkcs1v15Sign::new::<Sha224>(),
        ),
        b"sha256" => (
            Sha256::digest(&text).to_vec(),
            Pkcs1v15Sign::new::<Sha256>(),
        ),
        b"sha384" => (
            Sha384::digest(&text).to_vec(),
            Pkcs1v15Sign::new::<Sha384>(),
        ),
        b"sha512" => (
            Sha512::digest(&text).to_vec(),
            Pkcs1v15Sign::new::<Sha512>(),
        ),
        _ => {
            let hash = String::from_utf8_lossy(&hash);
            return Ok(refusal(&format!("{hash} is not supported.")));
        }
    };
    let Some(key) = PublicKey::from_der(&key) else {
        return Ok(refusal("Failed to initialize digest verify."));
    };
    if key.verifies(scheme, &digest, &signature) {
        Ok(vec![0x08, 0x01])
    } else {
        Ok(refusal("Failed to verify digest. Error code: 0"))
    }
}

enum PublicKey {
    Rsa(rsa::RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
}

impl PublicKey {
    fn from_der(der: &[u8]) -> Option<Self> {
        use p256::pkcs8::DecodePublicKey as _;
        let rsa = rsa::RsaPublicKey::from_public_key_der(der).map(Self::Rsa);
        rsa.ok()
            .or_else(|| {
                p256::ecdsa::VerifyingKey::from_public_key_der(der)
                    .map(Self::P256)
                    .ok()
            })
            .or_else(|| {
                p384::ecdsa::VerifyingKey::from_public_key_der(der)
                    .map(Self::P384)
                    .ok()
            })
    }

    fn verifies(&self, scheme: Pkcs1v15Sign, digest: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => key.verify(scheme, digest, signature).is_ok(),
            Self::P256(key) => p256::ecdsa::DerSignature::from_bytes(signature)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::DerSignature::from_bytes(signature)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()),
        }
    }
}

/// The answer "no". A protobuf boolean that is false is left out.
fn refusal(reason: &str) -> Vec<u8> {
    let mut answer = vec![0x12, reason.len() as u8];
    answer.extend(reason.as_bytes());
    answer
}

/// Reads fields 1 to 4 of a protobuf message, all of them length-delimited; others are skipped only
/// if they are, too. What is absent is empty.
fn read_strings(mut bytes: &[u8]) -> Option<[Vec<u8>; 4]> {
    let mut fields: [Vec<u8>; 4] = Default::default();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        if tag & 7 != 2 {
            return None;
        }
        let size = usize::try_from(varint(&mut bytes)?).ok()?;
        let (value, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        let field = usize::try_from(tag >> 3).ok()?;
        if let Some(slot) = field.checked_sub(1).and_then(|index| fields.get_mut(index)) {
            *slot = value.to_vec();
        }
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
