//! Signing keys.

use std::sync::LazyLock;

use ed25519_compact::{KeyPair as Ed25519, Seed};
use jwt_simple::prelude::{HS256Key, HS384Key, HS512Key, MACLike as _};
use p256::ecdsa::signature::Signer as _;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::encode;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "these are the names of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

use Algorithm::*;

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512,
    ];

    /// The name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            RS256 => "RS256",
            RS384 => "RS384",
            RS512 => "RS512",
            PS256 => "PS256",
            PS384 => "PS384",
            PS512 => "PS512",
            ES256 => "ES256",
            ES384 => "ES384",
            EdDSA => "EdDSA",
            HS256 => "HS256",
            HS384 => "HS384",
            HS512 => "HS512",
        }
    }
}

/// The number of keys of each algorithm.
pub const KEYS: u8 = 200;

/// RSA-2048 keys, made for these tests with `openssl genrsa`, because RSA keys cannot be derived from a number.
static RSA: LazyLock<[RsaPrivateKey; 3]> = LazyLock::new(|| {
    let keys: [&[u8]; 3] = [
        include_bytes!("rsa-1.der"),
        include_bytes!("rsa-2.der"),
        include_bytes!("rsa-3.der"),
    ];
    keys.map(|der| RsaPrivateKey::from_pkcs1_der(der).expect("a key in PKCS#1"))
});

/// A key for one algorithm: a key pair or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    algorithm: Algorithm,
    number: u8,
    id: String,
}

impl Key {
    /// The key with this number, from 1 to [`KEYS`]. It is always the same. There are three RSA keys, which all RSA
    /// algorithms share; the fourth is the first one under another name.
    ///
    /// # Panics
    /// If there is no such number.
    pub fn new(algorithm: Algorithm, number: u8) -> Self {
        assert!((1..=KEYS).contains(&number), "there is no key {number}");
        let id = format!("{}-{number}", algorithm.name().to_lowercase());
        Self {
            algorithm,
            number,
            id,
        }
    }

    /// The same key with another `kid`.
    #[must_use]
    pub fn named(&self, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..self.clone()
        }
    }

    /// The key after this one; after the last one, the first.
    #[must_use]
    pub fn next(&self) -> Self {
        Self::new(self.algorithm, self.number % KEYS + 1)
    }

    /// The signature algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, or the secret, as a JWK with `kid`, `use` and `alg`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match self.algorithm {
            RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => {
                let key = self.rsa();
                json!({"kty": "RSA", "n": encode(key.n().to_bytes_be()), "e": encode(key.e().to_bytes_be())})
            }
            ES256 => {
                let point = self.p256().verifying_key().to_sec1_point(false);
                ec("P-256", point.as_bytes())
            }
            ES384 => {
                let point = self.p384().verifying_key().to_sec1_point(false);
                ec("P-384", point.as_bytes())
            }
            EdDSA => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(*self.ed25519().pk)})
            }
            HS256 | HS384 | HS512 => json!({"kty": "oct", "k": encode(self.secret())}),
        };
        jwk["kid"] = self.id.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm.name().into();
        jwk
    }

    /// The public key of an RSA key as PEM. Attackers know it.
    ///
    /// # Panics
    /// If it is not an RSA key.
    pub fn public_pem(&self) -> String {
        use rsa::pkcs8::EncodePublicKey as _;

        let public = self.rsa().to_public_key();
        let pem = public.to_public_key_pem(rsa::pkcs8::LineEnding::LF);
        pem.expect("a public key can be written")
    }

    /// The signature of a message in the encoding of JOSE.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let pkcs1 = |padding, digest: &[u8]| self.rsa().sign(padding, digest).expect("RSA signs");
        let pss = |padding, digest: &[u8]| {
            let signature = self.rsa().sign_with_rng(&mut Zeros, padding, digest);
            signature.expect("RSA signs")
        };
        match self.algorithm {
            RS256 => pkcs1(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
            RS384 => pkcs1(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
            RS512 => pkcs1(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
            PS256 => pss(Pss::new::<Sha256>(), &Sha256::digest(message)),
            PS384 => pss(Pss::new::<Sha384>(), &Sha384::digest(message)),
            PS512 => pss(Pss::new::<Sha512>(), &Sha512::digest(message)),
            ES256 => {
                let signature: p256::ecdsa::Signature = self.p256().sign(message);
                signature.to_bytes().to_vec()
            }
            ES384 => {
                let signature: p384::ecdsa::Signature = self.p384().sign(message);
                signature.to_bytes().to_vec()
            }
            EdDSA => self.ed25519().sk.sign(message, None).to_vec(),
            HS256 | HS384 | HS512 => hmac(self.algorithm, &self.secret(), message),
        }
    }

    fn rsa(&self) -> &'static RsaPrivateKey {
        let number = usize::from(self.number - 1);
        let mut keys = RSA.iter().cycle().skip(number % RSA.len());
        keys.next().expect("there are keys")
    }

    fn p256(&self) -> p256::ecdsa::SigningKey {
        p256::ecdsa::SigningKey::from_slice(&[self.number; 32]).expect("a scalar of P-256")
    }

    fn p384(&self) -> p384::ecdsa::SigningKey {
        p384::ecdsa::SigningKey::from_slice(&[self.number; 48]).expect("a scalar of P-384")
    }

    fn ed25519(&self) -> Ed25519 {
        Ed25519::from_seed(Seed::new([self.number; 32]))
    }

    fn secret(&self) -> [u8; 64] {
        [self.number; 64]
    }
}

/// The HMAC of a message with any secret, such as a public key that an attacker misuses as a secret.
///
/// # Panics
/// If the algorithm is not symmetric.
pub fn hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    match algorithm {
        HS256 => HS256Key::from_bytes(secret).authentication_tag(message),
        HS384 => HS384Key::from_bytes(secret).authentication_tag(message),
        HS512 => HS512Key::from_bytes(secret).authentication_tag(message),
        other => panic!("{} is not symmetric", other.name()),
    }
}

/// The JWK of an uncompressed point.
fn ec(curve: &str, point: &[u8]) -> Value {
    let (_, coordinates) = point.split_at(1);
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
}

/// A random number generator for salts of zeros, which are good enough for tests.
struct Zeros;

impl CryptoRng for Zeros {}

impl RngCore for Zeros {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        bytes.fill(0);
        Ok(())
    }
}
