//! Signs tokens, with a key for each algorithm.
//!
//! The secret, the RSA key and the P-256 key are those of RFC 7515 A.1 to A.3, the Ed25519 key is that
//! of RFC 8037 A.1.

use std::sync::LazyLock;

use jwt_simple::prelude::{
    Ed25519KeyPair, EdDSAKeyPairLike as _, HS256Key, HS384Key, HS512Key, MACLike as _,
};
use p256::ecdsa::signature::Signer as _;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::jose::base64url::{decode, encode};
use crate::jose::{Algorithm, Algorithm::*};

pub(super) const SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

pub(super) const MODULUS: &str = "\
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4\
    QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdb\
    BYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-D\
    WNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

const PRIVATE_EXPONENT: &str = "\
    Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoA\
    Je46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpR\
    LI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZF\
    D9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";

const PRIMES: [&str; 2] = [
    "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJd\
     TJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_\
     YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
];

const P256_SCALAR: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const P384_SCALAR: [u8; 48] = [7; 48];

const ED25519_SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
pub(super) const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

static RSA: LazyLock<RsaPrivateKey> = LazyLock::new(|| {
    let number = |text| BigUint::from_bytes_be(&decode(text).unwrap());
    RsaPrivateKey::from_components(
        number(MODULUS),
        65_537_u32.into(),
        number(PRIVATE_EXPONENT),
        PRIMES.map(number).to_vec(),
    )
    .unwrap()
});

fn p256() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&decode(P256_SCALAR).unwrap()).unwrap()
}

fn p384() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&P384_SCALAR).unwrap()
}

fn ed25519() -> Ed25519KeyPair {
    let pair = [decode(ED25519_SEED).unwrap(), decode(ED25519_X).unwrap()].concat();
    Ed25519KeyPair::from_bytes(&pair).unwrap()
}

/// The JWK that verifies tokens of this algorithm; it has no `alg`.
pub(super) fn jwk(algorithm: Algorithm) -> Value {
    match algorithm {
        HS256 | HS384 | HS512 => json!({"kty": "oct", "k": SECRET}),
        RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => {
            json!({"kty": "RSA", "n": MODULUS, "e": "AQAB"})
        }
        ES256 => ec(
            "P-256",
            p256().verifying_key().to_sec1_point(false).as_bytes(),
        ),
        ES384 => ec(
            "P-384",
            p384().verifying_key().to_sec1_point(false).as_bytes(),
        ),
        EdDSA => json!({"kty": "OKP", "crv": "Ed25519", "x": ED25519_X}),
    }
}

/// The key with these members changed.
pub(super) fn but(mut jwk: Value, changes: Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    jwk.as_object_mut().unwrap().extend(changes);
    jwk
}

/// The key of this algorithm with this `kid`.
pub(super) fn named(algorithm: Algorithm, kid: &str) -> Value {
    but(jwk(algorithm), json!({"kid": kid}))
}

/// The JWK of an uncompressed point.
pub(super) fn ec(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

/// A token with this header and payload, valid or not.
pub(super) fn sign(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = signature(algorithm, message.as_bytes());
    format!("{message}.{}", encode(signature))
}

/// The signature of a message, as JOSE writes it.
pub(super) fn signature(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let secret = || decode(SECRET).unwrap();
    match algorithm {
        HS256 => HS256Key::from_bytes(&secret()).authentication_tag(message),
        HS384 => HS384Key::from_bytes(&secret()).authentication_tag(message),
        HS512 => HS512Key::from_bytes(&secret()).authentication_tag(message),
        RS256 => RSA
            .sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
            .unwrap(),
        RS384 => RSA
            .sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message))
            .unwrap(),
        RS512 => RSA
            .sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message))
            .unwrap(),
        PS256 => pss(Pss::new::<Sha256>(), &Sha256::digest(message)),
        PS384 => pss(Pss::new::<Sha384>(), &Sha384::digest(message)),
        PS512 => pss(Pss::new::<Sha512>(), &Sha512::digest(message)),
        ES256 => {
            let signature: p256::ecdsa::Signature = p256().sign(message);
            signature.to_bytes().to_vec()
        }
        ES384 => {
            let signature: p384::ecdsa::Signature = p384().sign(message);
            signature.to_bytes().to_vec()
        }
        EdDSA => ed25519()
            .key_pair()
            .as_ref()
            .sk
            .sign(message, None)
            .to_vec(),
    }
}

fn pss(padding: Pss, digest: &[u8]) -> Vec<u8> {
    RSA.sign_with_rng(&mut Counter(1), padding, digest).unwrap()
}

/// Random enough for the salt of a signature that nobody attacks.
struct Counter(u64);

impl CryptoRng for Counter {}

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
