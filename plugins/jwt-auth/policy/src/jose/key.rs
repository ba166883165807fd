//! A key for verifying signatures: a JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use std::fmt;

use jwt_simple::prelude::{ES256PublicKey, ES384PublicKey, Ed25519PublicKey, RS256PublicKey};
use serde_json::{Map, Value};

use super::Algorithm::{self, *};
use super::base64url;
use super::token::is_array_of_strings;

/// The only supported public exponent: 65537. Others are rare, small ones have a history of forgeries, and large ones
/// make verification expensive.
pub(super) const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// The bits of an RSA modulus: at least the minimum of RFC 7518 §3.3; the maximum bounds the time of a verification.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A key for verifying signatures.
pub struct Key {
    id: Option<String>,
    /// The algorithms that the key serves; never empty.
    algorithms: Vec<Algorithm>,
    pub(super) material: Material,
}

pub(super) enum Material {
    Rsa { modulus: Vec<u8>, spki: Vec<u8> },
    P256 { key: ES256PublicKey, spki: Vec<u8> },
    P384 { key: ES384PublicKey, spki: Vec<u8> },
    Ed25519(Ed25519PublicKey),
    Secret(Vec<u8>),
}

/// The reason why an entry of a JWK set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is not an object, or `kid`, `use`, `key_ops` or `alg` has a wrong type.
    NotAKey,
    /// `kty` is not RSA, EC, OKP or oct, or `crv` is not P-256, P-384 or Ed25519.
    KeyType,
    /// `alg` is not an [`Algorithm`], or is one for other keys.
    Algorithm,
    /// `use` is not an accepted value (`sig`), or `key_ops` lacks `verify`.
    Use,
    /// It is the private half of a key pair. Its owner must replace the key.
    Private,
    /// The key itself is absent, is not base64url in its one spelling, or is not a point on its curve.
    Material,
    /// An RSA key of fewer than 2048 bits, or a secret that is shorter than the hash (RFC 7518 §3.2, §3.3).
    Weak,
    /// An RSA key of more than 4096 bits, or with an exponent other than 65537.
    UnsupportedRsa,
    /// It is used only for some tokens: another key with its `kid` fits the others too, and the order of the set must
    /// not decide which one verifies.
    Conflicting,
}

impl Unusable {
    /// A short name, for logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotAKey => "not a key",
            Self::KeyType => "unknown key type or curve",
            Self::Algorithm => "unsupported algorithm, or one for other keys",
            Self::Use => "not for verifying signatures",
            Self::Private => "a private key",
            Self::Material => "malformed key material",
            Self::Weak => "too short to be safe",
            Self::UnsupportedRsa => "longer than 4096 bits, or an exponent other than 65537",
            Self::Conflicting => {
                "another key has its kid and fits the same tokens, which are refused"
            }
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Key {
    /// Reads a key with one of these uses, or without `use`.
    pub(super) fn from_jwk(jwk: &Map<String, Value>, uses: &[String]) -> Result<Self, Unusable> {
        let jwk = Jwk(jwk);
        let id = jwk.text("kid")?;
        jwk.check_use(uses)?;
        let (fitting, material) = jwk.material()?;
        let algorithms = match jwk.text("alg")? {
            None => fitting.to_vec(),
            Some(name) => match name.parse() {
                Ok(algorithm) if fitting.contains(&algorithm) => vec![algorithm],
                Ok(algorithm) if algorithm.is_symmetric() && material.is_symmetric() => {
                    return Err(Unusable::Weak);
                }
                _ => return Err(Unusable::Algorithm),
            },
        };
        Ok(Self {
            id: id.map(str::to_owned),
            algorithms,
            material,
        })
    }

    /// The `kid`, if the key has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The algorithms that the key serves: its `alg`, or else all that its type allows.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether both are the same key, under any names.
    pub(super) fn has_material_of(&self, other: &Self) -> bool {
        match (&self.material, &other.material) {
            (Material::Rsa { modulus: one, .. }, Material::Rsa { modulus: other, .. }) => {
                one == other
            }
            (Material::P256 { spki: one, .. }, Material::P256 { spki: other, .. })
            | (Material::P384 { spki: one, .. }, Material::P384 { spki: other, .. }) => {
                one == other
            }
            (Material::Ed25519(one), Material::Ed25519(other)) => {
                one.to_bytes() == other.to_bytes()
            }
            (Material::Secret(one), Material::Secret(other)) => one == other,
            _ => false,
        }
    }

    /// Whether both serve a common algorithm.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let mut algorithms = self.algorithms.iter();
        algorithms.any(|algorithm| other.algorithms.contains(algorithm))
    }

    /// Whether the key can also sign.
    pub fn is_symmetric(&self) -> bool {
        self.material.is_symmetric()
    }
}

/// Prints the id and the algorithms only: secrets must stay out of logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl Material {
    fn is_symmetric(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

/// The members of a JWK.
struct Jwk<'j>(&'j Map<String, Value>);

impl<'j> Jwk<'j> {
    /// A member that is present. Some issuers write `null`, `""` or `[]` for an absent one.
    fn get(&self, name: &str) -> Option<&'j Value> {
        self.0.get(name).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => true,
        })
    }

    fn text(&self, name: &str) -> Result<Option<&'j str>, Unusable> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Unusable::NotAKey),
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Unusable> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .and_then(base64url::decode)
            .ok_or(Unusable::Material)
    }

    fn check_use(&self, uses: &[String]) -> Result<(), Unusable> {
        let is_other = |own: &str| !uses.iter().any(|wanted| wanted == own);
        if self.text("use")?.is_some_and(is_other) {
            return Err(Unusable::Use);
        }
        match self.get("key_ops") {
            None => Ok(()),
            Some(operations) if !is_array_of_strings(operations) => Err(Unusable::NotAKey),
            Some(Value::Array(operations)) if operations.iter().any(|name| name == "verify") => {
                Ok(())
            }
            Some(_) => Err(Unusable::Use),
        }
    }

    /// The key itself, and the algorithms that it serves.
    fn material(&self) -> Result<(&'static [Algorithm], Material), Unusable> {
        let (kty, crv) = (self.text("kty")?, self.text("crv")?);
        match (kty, crv) {
            (Some("RSA" | "EC" | "OKP"), _) if self.get("d").is_some() => Err(Unusable::Private),
            (Some("RSA"), _) => Ok((&[RS256, RS384, RS512, PS256, PS384, PS512], self.rsa()?)),
            (Some("EC"), Some("P-256")) => Ok((&[ES256], self.p256()?)),
            (Some("EC"), Some("P-384")) => Ok((&[ES384], self.p384()?)),
            (Some("OKP"), Some("Ed25519")) => Ok((&[EdDSA], self.ed25519()?)),
            (Some("oct"), _) => self.secret(),
            _ => Err(Unusable::KeyType),
        }
    }

    fn rsa(&self) -> Result<Material, Unusable> {
        let modulus = self.bytes("n")?;
        // Some issuers include the sign byte of DER.
        let modulus = match modulus.strip_prefix(&[0]) {
            Some(unsigned) => unsigned.to_vec(),
            None => modulus,
        };
        let first = modulus.first().filter(|first| **first != 0);
        let zeros = first.ok_or(Unusable::Material)?.leading_zeros() as usize;
        let bits = (modulus.len() * 8).saturating_sub(zeros);
        if bits < *RSA_BITS.start() {
            return Err(Unusable::Weak);
        }
        if bits > *RSA_BITS.end() || self.bytes("e")? != RSA_EXPONENT {
            return Err(Unusable::UnsupportedRsa);
        }
        let key = RS256PublicKey::from_components(&modulus, &RSA_EXPONENT)
            .map_err(|_| Unusable::Material)?;
        let spki = key.to_der().map_err(|_| Unusable::Material)?;
        Ok(Material::Rsa { modulus, spki })
    }

    fn p256(&self) -> Result<Material, Unusable> {
        let key = ES256PublicKey::from_bytes(&self.point(32)?).map_err(|_| Unusable::Material)?;
        let spki = key.to_der().map_err(|_| Unusable::Material)?;
        Ok(Material::P256 { key, spki })
    }

    fn p384(&self) -> Result<Material, Unusable> {
        let key = ES384PublicKey::from_bytes(&self.point(48)?).map_err(|_| Unusable::Material)?;
        let spki = key.to_der().map_err(|_| Unusable::Material)?;
        Ok(Material::P384 { key, spki })
    }

    /// An uncompressed point in the format of SEC 1 §2.3.3. Each coordinate has its full length (RFC 7518 §6.2.1.2).
    fn point(&self, size: usize) -> Result<Vec<u8>, Unusable> {
        let (x, y) = (self.bytes("x")?, self.bytes("y")?);
        if x.len() != size || y.len() != size {
            return Err(Unusable::Material);
        }
        Ok([&[4], &x[..], &y[..]].concat())
    }

    fn ed25519(&self) -> Result<Material, Unusable> {
        Ed25519PublicKey::from_bytes(&self.bytes("x")?)
            .map(Material::Ed25519)
            .map_err(|_| Unusable::Material)
    }

    fn secret(&self) -> Result<(&'static [Algorithm], Material), Unusable> {
        let secret = self.bytes("k")?;
        let fitting: &[Algorithm] = match secret.len() {
            0..32 => return Err(Unusable::Weak),
            32..48 => &[HS256],
            48..64 => &[HS256, HS384],
            64.. => &[HS256, HS384, HS512],
        };
        Ok((fitting, Material::Secret(secret)))
    }
}
