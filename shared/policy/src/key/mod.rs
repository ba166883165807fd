//! What is counted apart.
//!
//! A key is the list of its parts' values, each with its length before it. A part has a value or is
//! **missing**; an empty value counts as missing, and so does one that stands there several times (two
//! lines of a header, two cookies or parameters of one name). Which of them the upstream goes by is
//! unknown here, so with any choice a client could hide behind the others. As it is, all such requests
//! share one count, or are denied.
//!
//! | part | value |
//! |---|---|
//! | `remote_address` | 4 or 16 bytes, see [`address`] |
//! | `host` | `:authority` without port and final dot, in lower case |
//! | `path` | the [canonical path](crate::readings::path::CanonicalPath) |
//! | `method` | `:method` as it is |
//! | `route` | the name of Envoy's route |
//! | `cluster` | the name of the cluster that the route leads to |
//! | `header` | the line |
//! | `cookie` | without blanks and double quotes around it; names count with their letter case |
//! | `query` | percent-decoded, `+` is a blank; so is the name before it is compared |
//! | `claim` | see [`claim`] |
//! | `constant` | the text |

mod address;
mod claim;
mod part;

use std::hash::{Hash, Hasher};

use serde::Deserialize;
use siphasher::sip::SipHasher13;

pub(crate) use part::KeyPart;

use crate::matcher::{Match, Subject};
use crate::readings::Reading;
#[cfg(feature = "jwt")]
pub(crate) use crate::readings::{cookie, query};
use crate::table::{KeyHash, KeyHasher, Seed};

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
    pub(crate) fn of(condition: Option<&Match>, key: &[KeyPart]) -> Self {
        let of_condition = Self {
            headers: condition.is_some(),
            route: condition.is_some_and(Match::needs_route),
            ..Self::default()
        };
        key.iter().map(KeyPart::needs).fold(of_condition, Self::and)
    }

    /// What one of them needs.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
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
pub(crate) enum Missing {
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
pub(crate) enum Key {
    Hash(KeyHash),
    /// The rule does not apply.
    None,
    /// The request must not pass without it.
    Required,
}

impl Key {
    pub(crate) fn of(
        request: &Request<'_>,
        parts: &[KeyPart],
        missing: Missing,
        seed: &Seed,
    ) -> Self {
        let mut hasher = KeyHasher::new(seed);
        for part in parts {
            let key = part.look(request, |value| match (value, missing) {
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
pub(crate) fn label(request: &Request<'_>, parts: &[KeyPart]) -> String {
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
pub(crate) fn shape(parts: &[KeyPart]) -> u64 {
    let mut hasher = SipHasher13::new();
    parts.hash(&mut hasher);
    hasher.finish()
}
