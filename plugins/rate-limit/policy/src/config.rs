//! What is configured.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use super::limit::Limit;
use super::reply::ReplyTemplate;
use portcullis_core::config::{HasTables, Mode, Name, NamedList, OnError};
use portcullis_table::{MaxKeys, MemoryUse, WhenFull};

/// Configuration of the rate-limit plugin.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "rate-limit")
)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of this instance, in metrics. Instances of one name share their counts.
    #[serde(default)]
    pub name: Name,
    /// Whether to act, only to count and mark, or to do nothing.
    #[serde(default)]
    pub(super) mode: Mode,
    /// What happens to a request when the counts cannot be read or written.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// For how many keys at a time each limit has room.
    #[serde(default)]
    pub(super) max_keys: MaxKeys<65_536>,
    /// What a new key gets when there is no room.
    #[serde(default)]
    pub(super) when_full: WhenFull,
    /// The limits. All that match are checked.
    #[serde(deserialize_with = "limits")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) limits: Vec<Limit>,
    /// What responses tell of the limits.
    #[serde(default, deserialize_with = "each_once")]
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(super) response_headers: Vec<ResponseHeaders>,
    /// The answer to a request that is denied.
    #[serde(default)]
    pub(super) reply: ReplyTemplate,
}

/// Headers that tell of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum ResponseHeaders {
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
    #[serde(rename = "ratelimit")]
    RateLimit,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, as Envoy's own filters write them.
    #[serde(rename = "x-ratelimit")]
    XRateLimit,
}

impl HasTables for Config {
    fn max_keys(&self) -> u32 {
        self.max_keys.get()
    }

    fn memory(&self) -> impl Iterator<Item = MemoryUse> {
        let max_keys = self.max_keys.get();
        let limits = self.limits.iter();
        limits.map(move |limit| limit.memory(max_keys))
    }
}

fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Limit>, D::Error> {
    LIMITS.read(deserializer, |limit: &Limit| &limit.name)
}

const LIMITS: NamedList = NamedList {
    one: "a limit",
    several: "limits",
    shown_in: "metrics, headers and replies",
};

fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ResponseHeaders>, D::Error> {
    let kinds = Vec::<ResponseHeaders>::deserialize(deserializer)?;
    match kinds.iter().collect::<BTreeSet<_>>().len() == kinds.len() {
        true => Ok(kinds),
        false => Err(de::Error::custom("expected each kind of headers once")),
    }
}
