//! The top level of the configuration.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use super::fleet::config::Services;
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
    /// Name of this instance, used in metrics. Instances with the same name and `vm_id` share their counts.
    /// Default: `default`.
    #[serde(default)]
    pub name: Name,
    /// `enforce` acts; `shadow` decides, counts and marks requests, but lets all of them pass; `off` does nothing.
    /// Default: `enforce`.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Result when the counts cannot be read or written, or Envoy does not provide a value that a limit counts
    /// by. Default: `allow`.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// Number of keys that each limit can hold at a time, from 1 to 4194304. Default: 65536.
    #[serde(default)]
    pub(super) max_keys: MaxKeys<65_536>,
    /// Treatment of a new key whose block is full. Default: `forgive`.
    #[serde(default)]
    pub(super) when_full: WhenFull,
    /// Rate-limit services that count limits for several proxies, by name. Default: none.
    #[serde(default)]
    pub(super) services: Services,
    /// The limits. Every limit that matches a request is checked, and each enforcing one must admit it.
    #[serde(deserialize_with = "limits")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) limits: Vec<Limit>,
    /// Response headers that show the limits. Default: none.
    #[serde(default, deserialize_with = "each_once")]
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(super) response_headers: Vec<ResponseHeaders>,
    /// Response to a denied request.
    #[serde(default)]
    pub(super) reply: ReplyTemplate,
}

/// A set of response headers that show the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum ResponseHeaders {
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
    #[serde(rename = "ratelimit")]
    RateLimit,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` as Envoy's own filters write them.
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
        limits.flat_map(move |limit| [limit.memory(max_keys), limit.lease_memory(max_keys)])
    }

    fn check(&self) -> Result<(), (String, String)> {
        for (index, limit) in self.limits.iter().enumerate() {
            if let Some(fleet) = &limit.fleet {
                let at_service = |message| (format!("limits[{index}].fleet.service"), message);
                self.services.check(fleet).map_err(at_service)?;
            }
        }
        Ok(())
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
        false => Err(de::Error::custom("found a value twice; expected each once")),
    }
}
