//! Where a provider's keys are, and which of them count.

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
    /// What `use` may say of a key, if it says anything.
    pub(super) uses: Vec<String>,
}

/// Where the keys are.
#[derive(Debug)]
pub(super) enum Keys {
    /// In the configuration; `None` if there are none there, so that every token is refused.
    Inline(Option<KeySet>),
    /// On a server.
    Remote(Source),
}

/// Where keys are: exactly one of `inline` and `remote`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// A JWK set.
    inline: Option<Map<String, Value>>,
    /// A server that has one.
    remote: Option<Source>,
    /// What the member `use` of a key may be; a key without it is used. `jwt-svid` for SPIFFE. Default:
    /// `sig`.
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

/// A set without a key, which says that no token is accepted, is written as it would be fetched.
fn inline(set: &Map<String, Value>, uses: &[String]) -> Result<Option<KeySet>, String> {
    let keys = set.get("keys").and_then(Value::as_array);
    if keys.is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    KeySet::read(set, uses)
        .map(Some)
        .map_err(|error| format!("found {error}; expected a JWK set in \"inline\""))
}
