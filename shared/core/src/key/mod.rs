//! Keys: which requests are counted together.
//!
//! A key is the list of the values of its parts, each preceded by its length. Servers interpret a request in
//! different ways (see [`crate::readings`]), so a part is in one of three states:
//!
//! - It has a **value**: all servers find the same one, however it is spelled. All spellings of one value have the
//!   same key; otherwise a client would get a fresh bucket for each spelling.
//! - It is **missing**: no server finds a value. An empty value is missing.
//! - It is **ambiguous**: some servers find a different value than others, or none. Examples are two cookies of one
//!   name, `?k=ab;1`, and a header under two names. If the policy picked one value, a client could hide behind
//!   another one.
//!
//! An ambiguous request is still counted. All ambiguous requests share one bucket, so by varying the spelling, a
//! client gets at most one bucket in addition to its own:
//!
//! | `missing` | part is missing | part is ambiguous |
//! |---|---|---|
//! | `share` | one bucket for all such requests | the same bucket |
//! | `skip` | the rule does not apply | one bucket for all such requests |
//! | `deny` | denied | denied |
//!
//! | part | value | differences that do not matter |
//! |---|---|---|
//! | `remote_address` | 4 or 16 bytes, see [`address`] | port |
//! | `host` | the host of `:authority` | letter case, port, trailing dots, spellings of an address, percent-encoding |
//! | `path` | see [`readings::path`](crate::readings::path::Paths::key) | percent-encoding, dot segments, parameters, slashes, letter case |
//! | `method` | `:method` | letter case |
//! | `route` | the name of Envoy's route | |
//! | `cluster` | the name of the cluster that the route leads to | |
//! | `header` | its only value | repeated equal lines, other characters for `-` in the name, surrounding whitespace |
//! | `cookie` | fully decoded | percent-encoding, quotes, backslashes, `+` or space, repeated equal cookies |
//! | `query` | fully decoded | percent-encoding, `+` or space, repeated equal parameters |
//! | `claim` | see [`claim`] | |
//! | `constant` | the text | |

pub mod address;
pub mod claim;
mod part;

pub use part::KeyPart;
use serde::Deserialize;

use crate::matcher::{Match, Subject};
use crate::readings::Reading;
pub use crate::readings::{cookie, query};
use portcullis_table::{KeyHash, KeyHasher, Seed, fingerprint};

/// The filter state in which jwt-auth passes the claims of a verified token to other plugins: a JSON object, see
/// [`claim`].
pub const CLAIMS_PROPERTY: &str = claim::PROPERTY;

/// The parts of a request that a key can contain.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The headers of the request and their interpretations.
    pub subject: &'a Subject<'a>,
    /// The client's address as in Envoy's `source.address`, such as `192.0.2.1:51000`; empty if it is unknown.
    pub remote_address: &'a [u8],
    /// The value of [`CLAIMS_PROPERTY`]; empty if there is none.
    pub claims: &'a [u8],
    /// The name of the cluster that the route leads to; empty if there is none.
    pub cluster: &'a [u8],
}

/// The parts of a request that a policy looks at, so that the host fetches only those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The headers of the request.
    pub headers: bool,
    /// The name of the route.
    pub route: bool,
    /// The client's address.
    pub remote_address: bool,
    /// The verified claims.
    pub claims: bool,
    /// The name of the cluster.
    pub cluster: bool,
}

impl Needs {
    /// The needs of a rule with this condition and this key.
    pub fn of(condition: Option<&Match>, key: &[KeyPart]) -> Self {
        let of_condition = Self {
            headers: condition.is_some_and(Match::needs_headers),
            route: condition.is_some_and(Match::needs_route),
            remote_address: condition.is_some_and(Match::needs_remote_address),
            claims: condition.is_some_and(Match::needs_claims),
            cluster: false,
        };
        key.iter().map(KeyPart::needs).fold(of_condition, Self::and)
    }

    /// The needs of both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            headers: self.headers || other.headers,
            route: self.route || other.route,
            remote_address: self.remote_address || other.remote_address,
            claims: self.claims || other.claims,
            cluster: self.cluster || other.cluster,
        }
    }
}

/// What happens to a request without a part of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// All such requests are counted together.
    #[default]
    Share,
    /// The rule does not apply to the request.
    Skip,
    /// The request is denied.
    Deny,
}

/// The key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The request has this key.
    Hash(KeyHash),
    /// The rule does not apply.
    None,
    /// The request lacks a required part and must be denied.
    Required,
}

impl Key {
    /// The key of a request.
    pub fn of(request: &Request<'_>, parts: &[KeyPart], missing: Missing, seed: &Seed) -> Self {
        let mut hasher = KeyHasher::new(seed);
        for part in parts {
            let key = part.with_value(request, |value| match (value, missing) {
                (Reading::Value(value), _) => {
                    hasher.part(&value);
                    None
                }
                (Reading::Missing, Missing::Skip) => Some(Self::None),
                (_, Missing::Deny) => Some(Self::Required),
                (_, Missing::Share | Missing::Skip) => {
                    hasher.missing_part();
                    None
                }
            });
            if let Some(key) = key {
                return key;
            }
        }
        Self::Hash(hasher.finish())
    }
}

/// The values of a key for people to read: separated by commas, with `-` for a missing one.
pub fn label(request: &Request<'_>, parts: &[KeyPart]) -> String {
    let mut label = String::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            label.push_str(", ");
        }
        label.push_str(part.text(request).as_deref().unwrap_or("-"));
    }
    label
}

/// A hash of the parts that make up a key. In one process, keys of the same parts have the same hashes.
pub fn shape(parts: &[KeyPart]) -> u64 {
    fingerprint(parts)
}
