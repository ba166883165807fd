//! What is counted apart.
//!
//! A key is the list of its parts' values, each with its length before it. Servers read a request in
//! different ways (see [`crate::readings`]), so a part is in one of three states:
//!
//! - It has a **value**: all servers find the same, in whatever spelling. Spellings of one value are one
//!   key, else a client would have a fresh bucket for each.
//! - It is **missing**: no server finds one. An empty value is missing.
//! - It is **ambiguous**: some servers find another value than others, or none: two cookies of one name,
//!   `?k=ab;1`, a header under two names. With any choice a client could hide behind what is not chosen.
//!
//! Ambiguous is never a way out. All ambiguous requests share one bucket, so a client gets by spelling
//! at most that one beside its own:
//!
//! | `missing` | missing | ambiguous |
//! |---|---|---|
//! | `share` | one bucket for all | the same bucket |
//! | `skip` | the rule does not apply | one bucket for all |
//! | `deny` | denied | denied |
//!
//! | part | value | what is merged |
//! |---|---|---|
//! | `remote_address` | 4 or 16 bytes, see [`address`] | ports |
//! | `host` | the host of `:authority` | letter case, port, final dots, spellings of an address, percent-encoding |
//! | `path` | see [`readings::path`](crate::readings::path::Paths::key) | percent-encoding, dot segments, parameters, slashes, letter case |
//! | `method` | `:method` | letter case |
//! | `route` | the name of Envoy's route | |
//! | `cluster` | the name of the cluster that the route leads to | |
//! | `header` | its one value | equal lines, other characters for `-` in the name, blanks around |
//! | `cookie` | decoded to the end | percent-encoding, quotes, backslashes, `+` and blank, equal cookies |
//! | `query` | decoded to the end | percent-encoding, `+` and blank, equal parameters |
//! | `claim` | see [`claim`] | |
//! | `constant` | the text | |

mod address;
mod claim;
mod part;

pub use part::KeyPart;
use serde::Deserialize;

use crate::matcher::{Match, Subject};
use crate::readings::Reading;
pub use crate::readings::{cookie, query};
use portcullis_table::{KeyHash, KeyHasher, Seed, fingerprint};

/// The filter state in which jwt-auth hands over the claims of the token that it has verified: a JSON
/// object, see [`claim`].
pub const CLAIMS_PROPERTY: &str = claim::PROPERTY;

/// What a key is made of.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What the request's headers say.
    pub subject: &'a Subject<'a>,
    /// The client's address as Envoy's `source.address` gives it, `192.0.2.1:51000`; empty if it is
    /// unknown.
    pub remote_address: &'a [u8],
    /// The value of [`CLAIMS_PROPERTY`]; empty if there is none.
    pub claims: &'a [u8],
    /// The name of the cluster that the route leads to; empty if there is none.
    pub cluster: &'a [u8],
}

/// What a policy looks at, so that the host asks for nothing else.
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
    /// What a rule looks at that has this condition and this key.
    pub fn of(condition: Option<&Match>, key: &[KeyPart]) -> Self {
        let of_condition = Self {
            headers: condition.is_some(),
            route: condition.is_some_and(Match::needs_route),
            ..Self::default()
        };
        key.iter().map(KeyPart::needs).fold(of_condition, Self::and)
    }

    /// What one of them needs.
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

/// What happens to a request that lacks a part of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// All requests that lack it are counted together.
    #[default]
    Share,
    /// The rule does not apply to it.
    Skip,
    /// It is denied.
    Deny,
}

/// The key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key is this.
    Hash(KeyHash),
    /// The rule does not apply.
    None,
    /// The request must not pass without it.
    Required,
}

impl Key {
    /// The key that these parts have in a request.
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

/// The values of a key for people to read: separated by commas, `-` where one is missing.
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

/// A hash of what a key is made of: keys of the same parts have the same hashes in one process.
pub fn shape(parts: &[KeyPart]) -> u64 {
    fingerprint(parts)
}
