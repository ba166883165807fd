//! The source of a provider's keys, and which of them are accepted.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::scope::at_least_one;
use crate::jose::{KeySet, SIGNATURES};
use crate::remote::Source;
use portcullis_core::config::Text;
use portcullis_core::matcher::not_exactly_one;

/// The keys of a provider.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields", inline)
)]
#[serde(try_from = "Fields")]
pub(super) struct Jwks {
    pub(super) keys: Keys,
    /// The accepted values of a key's `use`, if it has that member.
    pub(super) uses: Vec<String>,
}

/// The source of the keys.
#[derive(Debug)]
pub(super) enum Keys {
    /// The configuration; `None` without any key, so that every token is refused.
    Inline(Option<KeySet>),
    /// A server.
    Remote(Source),
}

/// The source of the keys: exactly one of `inline` and `remote`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The JWK set itself.
    inline: Option<Map<String, Value>>,
    /// A server with a JWK set.
    remote: Option<Source>,
    /// Accepted values of a key's member `use`; a key without `use` is accepted. `jwt-svid` for SPIFFE. Default: `sig`.
    #[serde(default = "uses", deserialize_with = "at_least_one")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    uses: Vec<Text>,
}

fn uses() -> Vec<Text> {
    Text::try_from(SIGNATURES.to_owned()).into_iter().collect()
}

impl TryFrom<Fields> for Jwks {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let members = [
            ("inline", fields.inline.is_some()),
            ("remote", fields.remote.is_some()),
        ];
        let uses: Vec<String> = fields
            .uses
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect();
        let keys = match (fields.inline, fields.remote) {
            (Some(set), None) => Keys::Inline(inline(&set, &uses)?),
            (None, Some(source)) => Keys::Remote(source),
            _ => return Err(not_exactly_one(&members)),
        };
        Ok(Self { keys, uses })
    }
}

/// Reads an inline set. An empty one is valid, and accepts no token.
fn inline(set: &Map<String, Value>, uses: &[String]) -> Result<Option<KeySet>, String> {
    let keys = set.get("keys").and_then(Value::as_array);
    if keys.is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    KeySet::read(set, uses)
        .map(Some)
        .map_err(|error| format!("found {error}; expected a JWK set in \"inline\""))
}
