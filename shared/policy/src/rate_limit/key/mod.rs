//! What a limit counts apart.
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
//! | `path` | the [canonical path](crate::matcher::CanonicalPath) |
//! | `method` | `:method` as it is |
//! | `route` | the name of Envoy's route |
//! | `header` | the line |
//! | `cookie` | without blanks and double quotes around it; names count with their letter case |
//! | `query` | percent-decoded, `+` is a blank; so is the name before it is compared |
//! | `claim` | see [`claim`] |
//! | `constant` | the text |

mod address;
mod claim;
mod cookie;
mod part;
mod query;

use serde::Deserialize;

pub(super) use claim::PROPERTY as CLAIMS_PROPERTY;
pub(super) use part::KeyPart;

use super::Request;
use crate::table::{KeyHash, KeyHasher, Seed};

/// What happens to a request that lacks a part of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Missing {
    /// All requests that lack it are counted together.
    #[default]
    Share,
    /// The limit does not apply to it.
    Skip,
    /// It is denied.
    Deny,
}

/// The key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Hash(KeyHash),
    /// The limit does not apply.
    None,
    /// The request must not pass without it.
    Required,
}

impl Key {
    pub(super) fn of(
        request: &Request<'_>,
        parts: &[KeyPart],
        missing: Missing,
        seed: &Seed,
    ) -> Self {
        let mut hasher = KeyHasher::new(seed);
        for part in parts {
            if part.add_to(&mut hasher, request) {
                continue;
            }
            match missing {
                Missing::Share => hasher.missing_part(),
                Missing::Skip => return Self::None,
                Missing::Deny => return Self::Required,
            }
        }
        Self::Hash(hasher.finish())
    }
}

/// The only item; none if there are several.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let item = items.next()?;
    items.next().is_none().then_some(item)
}
