//! A JWK set (RFC 7517 §5), and the choice of its keys for a token.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::{JsonError, Object};
use super::{Algorithm, Header, HostSignatures, Key, Unusable};

/// The longest set, in bytes. The largest known ones, of issuers with a key for each tenant, have 110 KB.
pub const MAX_SET: usize = 160 * 1024;

/// The most entries of a set, usable or not. A worker parses a set in one piece: natively, this many RSA or elliptic
/// keys take 0.5 ms, and this many Ed25519 keys, whose points must be decompressed, 13 ms.
pub const MAX_KEYS: usize = 200;

/// The `use` of keys for signatures (RFC 7517 §4.2).
pub const SIGNATURES: &str = "sig";

/// The most keys that are tried with one token if the host verifies it. Only a token without `kid`, or keys without
/// one, need more than one try. Sets whose keys have no `kid` have one or two keys, four during a rotation. A try takes
/// Envoy about 25 µs with RSA-2048, so eight take about as long as the rest of a request.
pub const MAX_TRIES: usize = 8;

/// The most keys that are tried with one token if the module verifies it. Each try takes as long as many plain
/// requests, and any client can send a token that needs all tries.
pub const MAX_SLOW_TRIES: usize = 1;

/// The keys of an issuer; never empty.
///
/// A configuration can contain a set as a JSON object.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Map<String, Value>")
)]
#[serde(try_from = "Map<String, Value>")]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<Skipped>,
}

/// An entry of a set that is not used, or only for some tokens ([`Unusable::Conflicting`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its position in `keys`, from 0.
    pub index: usize,
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// The reason.
    pub reason: Unusable,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "keys[{}] (kid {kid:?}): {}", self.index, self.reason),
            None => write!(f, "keys[{}]: {}", self.index, self.reason),
        }
    }
}

/// The reason why a whole set is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// Longer than [`MAX_SET`].
    TooLong,
    /// Not a strict JSON object.
    Json(JsonError),
    /// It has no array `keys`.
    NoKeys,
    /// More than [`MAX_KEYS`] entries.
    TooManyKeys,
    /// It has both symmetric and asymmetric keys. A public set has no secrets, and a set with secrets is not public.
    Mixed,
    /// It has no usable entry; the reason for each.
    Empty(Vec<Skipped>),
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {MAX_SET} bytes"),
            Self::Json(JsonError::Syntax) => f.write_str("not JSON"),
            Self::Json(JsonError::NotAnObject) => f.write_str("not a JSON object"),
            Self::Json(JsonError::DuplicateMember) => f.write_str("a duplicate member"),
            Self::Json(JsonError::TooDeep) => f.write_str("JSON that is nested too deeply"),
            Self::NoKeys => f.write_str("no array \"keys\""),
            Self::TooManyKeys => write!(f, "more than {MAX_KEYS} keys"),
            Self::Mixed => f.write_str("both secrets (kty \"oct\") and public keys"),
            Self::Empty(skipped) => {
                f.write_str("no usable key")?;
                skipped.iter().try_for_each(|entry| write!(f, "; {entry}"))
            }
        }
    }
}

/// The reason why no key of a set can verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The token's algorithm is not allowed.
    AlgorithmNotAllowed,
    /// The set has no key with the token's `kid`, and may be outdated.
    UnknownKid,
    /// The key with the token's `kid`, or each key if the token has no `kid`, is for other algorithms.
    AlgorithmMismatch,
    /// The token has no `kid`, and more than [`MAX_TRIES`] or [`MAX_SLOW_TRIES`] keys fit it; or several different keys
    /// with its `kid` fit it.
    Ambiguous,
}

impl NoKey {
    /// A short name, for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::UnknownKid => "unknown_kid",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::Ambiguous => "ambiguous_key",
        }
    }
}

impl KeySet {
    /// Parses a set and skips unusable entries. At least one must be usable.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        Self::parse_for(text, &[SIGNATURES.to_owned()])
    }

    /// The same, for keys whose `use` is one of these, or absent.
    pub fn parse_for(text: &[u8], uses: &[String]) -> Result<Self, KeySetError> {
        if text.len() > MAX_SET {
            return Err(KeySetError::TooLong);
        }
        let set = Object::parse(text).map_err(KeySetError::Json)?;
        Self::read(set.members(), uses)
    }

    /// The same, for a set that is already parsed as JSON, in a configuration.
    pub fn read(set: &Map<String, Value>, uses: &[String]) -> Result<Self, KeySetError> {
        let entries = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeySetError::NoKeys)?;
        if entries.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let (mut keys, mut skipped) = (Vec::<Key>::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            let key = entry.as_object().ok_or(Unusable::NotAKey);
            let reason = match key.and_then(|jwk| Key::from_jwk(jwk, uses)) {
                Ok(key) => {
                    let fits = fits(&key, &keys);
                    if fits != Overlap::Duplicate {
                        keys.push(key);
                    }
                    (fits == Overlap::Conflicting).then_some(Unusable::Conflicting)
                }
                Err(reason) => Some(reason),
            };
            skipped.extend(reason.map(|reason| Skipped {
                index,
                kid: entry.get("kid").and_then(Value::as_str).map(str::to_owned),
                reason,
            }));
        }
        match keys.first() {
            None => Err(KeySetError::Empty(skipped)),
            Some(first)
                if keys
                    .iter()
                    .any(|key| key.is_symmetric() != first.is_symmetric()) =>
            {
                Err(KeySetError::Mixed)
            }
            Some(_) => Ok(Self { keys, skipped }),
        }
    }

    /// The usable keys, in the order of the set.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The entries that are not used.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether the keys are secrets.
    pub fn is_symmetric(&self) -> bool {
        self.keys.iter().any(Key::is_symmetric)
    }

    /// All algorithms that any of the keys serves.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        Algorithm::ALL
            .into_iter()
            .filter(|algorithm| {
                self.keys
                    .iter()
                    .any(|key| key.algorithms().contains(algorithm))
            })
            .collect()
    }

    /// Whether any of the keys serves this algorithm and no other.
    pub fn is_only_for(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithms() == [algorithm])
    }

    /// The keys to try with a token that has this header: at least one and at most [`MAX_TRIES`], or [`MAX_SLOW_TRIES`]
    /// if this host does not verify the algorithm.
    ///
    /// For a token with `kid`, this is the key with that `kid`; of several, the one for its algorithm. If no key has
    /// that `kid`, the keys without one are candidates. For a token without `kid`, all keys are.
    pub fn candidates(
        &self,
        header: &Header,
        allowed: &[Algorithm],
        host: &impl HostSignatures,
    ) -> Result<Vec<&Key>, NoKey> {
        if !allowed.contains(&header.algorithm) {
            return Err(NoKey::AlgorithmNotAllowed);
        }
        let by_id = |id| -> Vec<&Key> { self.keys.iter().filter(|key| key.id() == id).collect() };
        let of_kid = header.kid.as_deref().map(|kid| by_id(Some(kid)));
        let is_named = of_kid.as_ref().is_some_and(|keys| !keys.is_empty());
        let mut fitting = match of_kid {
            None => self.keys.iter().collect(),
            Some(_) if !is_named => by_id(None),
            Some(keys) => keys,
        };
        if fitting.is_empty() {
            return Err(NoKey::UnknownKid);
        }
        fitting.retain(|key| key.algorithms().contains(&header.algorithm));
        if let (true, Some((first, others))) = (is_named, fitting.split_first()) {
            if !others.iter().all(|other| other.has_material_of(first)) {
                return Err(NoKey::Ambiguous);
            }
            fitting.truncate(1);
        }
        let algorithm = header.algorithm;
        let is_fast = match algorithm.is_symmetric() {
            true => true,
            false => host.is_available() && !algorithm.is_slow(),
        };
        let most = if is_fast { MAX_TRIES } else { MAX_SLOW_TRIES };
        match fitting.len() {
            0 => Err(NoKey::AlgorithmMismatch),
            tries if tries <= most => Ok(fitting),
            _ => Err(NoKey::Ambiguous),
        }
    }
}

/// The relation of a key to the earlier ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overlap {
    /// It equals one of them.
    Duplicate,
    /// It has the `kid` of a different one that fits the same tokens.
    Conflicting,
    /// Neither.
    None,
}

fn fits(key: &Key, keys: &[Key]) -> Overlap {
    let mut fits = Overlap::None;
    for other in keys.iter().filter(|other| other.id() == key.id()) {
        match other.has_material_of(key) {
            true if other.algorithms() == key.algorithms() => return Overlap::Duplicate,
            false if key.id().is_some() && other.overlaps(key) => fits = Overlap::Conflicting,
            _ => {}
        }
    }
    fits
}

impl TryFrom<Map<String, Value>> for KeySet {
    type Error = KeySetError;

    fn try_from(set: Map<String, Value>) -> Result<Self, KeySetError> {
        Self::read(&set, &[SIGNATURES.to_owned()])
    }
}
