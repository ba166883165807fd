//! Scopes and other conditions on the claims of a token.

use serde::Deserialize;
use serde_json::Value;

use crate::jose::Object;
use portcullis_core::config::Text;

/// A scope token (RFC 6749, section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a token has the scope, in `scope` or `scp`: a string with blanks between the scopes (RFC 8693, section
    /// 4.2), or an array. If the token has both claims, either may contain the scope.
    pub(super) fn is_in(&self, claims: &Object) -> bool {
        ["scope", "scp"]
            .into_iter()
            .filter_map(|name| claims.get(name))
            .any(|value| match value {
                Value::String(scopes) => scopes.split(' ').any(|scope| scope == self.0),
                Value::Array(scopes) => scopes.iter().any(|scope| scope == self.as_str()),
                _ => false,
            })
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match is_quotable(&text) {
            true => Ok(Self(text)),
            false => Err(format!(
                "found {text:?}; expected a scope: visible ASCII without blanks, quotes and backslashes"
            )),
        }
    }
}

/// Whether a text may be one of several words in a quoted string of a challenge.
pub(super) fn is_quotable(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// The required value of a claim.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Expected {
    /// The claim is this value.
    Equals(Scalar),
    /// The claim is one of these values, or an array with at least one of them.
    #[serde(deserialize_with = "at_least_one")]
    Any(Vec<Scalar>),
    /// The claim is an array with all of these values (or, for a single value, that value itself).
    #[serde(deserialize_with = "at_least_one")]
    All(Vec<Scalar>),
}

/// A string, a whole number or a boolean. Types matter: `"1"` is not `1`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Value")]
#[cfg_attr(feature = "schema", schemars(untagged, inline))]
pub(super) enum Scalar {
    Text(String),
    Number(i64),
    Truth(bool),
}

impl TryFrom<Value> for Scalar {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let number = value.as_i64();
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Bool(truth) => Ok(Self::Truth(truth)),
            other => number.map(Self::Number).ok_or_else(|| {
                format!("found {other}; expected a string, a whole number, true or false")
            }),
        }
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value == text.as_str(),
            Self::Number(number) => value == number,
            Self::Truth(truth) => value == truth,
        }
    }

    /// Whether the claim is this value, or an array with it.
    fn is_in(&self, claim: &Value) -> bool {
        match claim {
            Value::Array(items) => items.iter().any(|item| self.is(item)),
            scalar => self.is(scalar),
        }
    }
}

impl Expected {
    /// Whether the claim at this path has the required value; an absent one does not.
    pub(super) fn holds(&self, path: &Text, claims: &Object) -> bool {
        let Some(claim) = claims.at(path.as_str()) else {
            return false;
        };
        match self {
            Self::Equals(value) => value.is(claim),
            Self::Any(values) => values.iter().any(|value| value.is_in(claim)),
            Self::All(values) => values.iter().all(|value| value.is_in(claim)),
        }
    }
}

/// Reads a list that is not empty.
pub(super) fn at_least_one<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    match list.is_empty() {
        false => Ok(list),
        true => Err(serde::de::Error::custom(
            "found an empty array; expected at least one item",
        )),
    }
}
