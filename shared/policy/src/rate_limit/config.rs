//! What is configured.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use super::limit::Limit;
use super::reply::ReplyTemplate;
use crate::config::{Mode, Name};
use crate::table::{MAX_KEYS, WhenFull};

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
    pub(super) max_keys: MaxKeys,
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

/// What happens to a request when the counts cannot be read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum OnError {
    /// It passes.
    #[default]
    Allow,
    /// It is denied, with status 503.
    Deny,
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

/// A number of keys that a table can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct MaxKeys(u32);

impl MaxKeys {
    pub(super) fn get(self) -> u32 {
        self.0
    }
}

impl Default for MaxKeys {
    fn default() -> Self {
        Self(65_536)
    }
}

impl TryFrom<u64> for MaxKeys {
    type Error = String;

    fn try_from(keys: u64) -> Result<Self, String> {
        match u32::try_from(keys) {
            Ok(keys) if (1..=MAX_KEYS).contains(&keys) => Ok(Self(keys)),
            _ => Err(format!(
                "found {keys}; expected a whole number from 1 to {MAX_KEYS}"
            )),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for MaxKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxKeys".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 1, "maximum": MAX_KEYS})
    }
}

fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Limit>, D::Error> {
    let limits = Vec::<Limit>::deserialize(deserializer)?;
    if limits.is_empty() {
        return Err(de::Error::custom("found an empty array; expected a limit"));
    }
    let mut names = BTreeSet::new();
    match limits.iter().find(|limit| !names.insert(&limit.name)) {
        Some(limit) => Err(de::Error::custom(format!(
            "found two limits named {:?}; expected each name once: it tells them apart in metrics, \
             headers and replies",
            limit.name.as_str()
        ))),
        None => Ok(limits),
    }
}

fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ResponseHeaders>, D::Error> {
    let kinds = Vec::<ResponseHeaders>::deserialize(deserializer)?;
    match kinds.iter().collect::<BTreeSet<_>>().len() == kinds.len() {
        true => Ok(kinds),
        false => Err(de::Error::custom("expected each kind of headers once")),
    }
}
