//! The configuration of the plugin.

use serde::{Deserialize, Deserializer};

use super::breaker::Breaker;
use super::machine::State;
use portcullis_core::config::{HasTables, Mode, Name, NamedList, OnError};
use portcullis_table::{MaxKeys, MemoryUse};

/// Configuration of the circuit-breaker plugin.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "circuit-breaker")
)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Instance name, used in metrics. Instances with the same name share their circuits.
    #[serde(default)]
    pub name: Name,
    /// Enforce the breakers, only count and mark, or do nothing.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Treatment of requests whose circuit cannot be read or written.
    #[serde(default)]
    pub(super) on_error: OnError,
    /// Number of keys that each breaker can hold at a time.
    #[serde(default)]
    pub(super) max_keys: MaxKeys<4_096>,
    /// Path that shows the circuits as JSON, for an internal listener.
    pub(super) status_path: Option<StatusPath>,
    /// Breakers. Every breaker that matches applies to a request.
    #[serde(deserialize_with = "breakers")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(super) breakers: Vec<Breaker>,
}

/// A path without a query.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct StatusPath(String);

impl StatusPath {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for StatusPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let is_path = path.starts_with('/')
            && path.bytes().all(is_plain)
            && !path.contains("//")
            && !path.split('/').any(|segment| matches!(segment, "." | ".."));
        match is_path {
            true => Ok(Self(path)),
            false => Err(format!(
                "found {path:?}; expected a path such as \"/portcullis/breakers\": letters, digits \
                 and - . _ ~ between slashes"
            )),
        }
    }
}

impl HasTables for Config {
    fn max_keys(&self) -> u32 {
        self.max_keys.get()
    }

    fn memory(&self) -> impl Iterator<Item = MemoryUse> {
        let max_keys = self.max_keys.get();
        let breakers = self.breakers.iter();
        breakers.map(move |breaker| {
            let blocks = breaker.blocks(self.mode, max_keys);
            MemoryUse::of_table::<State>(blocks)
        })
    }
}

fn breakers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Breaker>, D::Error> {
    BREAKERS.read(deserializer, |breaker: &Breaker| &breaker.name)
}

const BREAKERS: NamedList = NamedList {
    one: "a breaker",
    several: "breakers",
    shown_in: "metrics",
};
