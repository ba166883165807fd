//! Step-up authentication (RFC 9470): how and when the user must have been authenticated.

use serde::Deserialize;
use serde_json::Value;

use super::reason::Reason;
use super::scope::{at_least_one, is_quotable};
use super::validity::numeric_date;
use crate::jose::Object;
use portcullis_core::config::Duration;
use portcullis_core::time::UnixSeconds;

/// How and when the user must have been authenticated, by the claims `acr` and `auth_time`. A refused client learns
/// the requirement from the challenge (RFC 9470), and can ask the user to authenticate again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct StepUp {
    /// Any of these; empty: no requirement.
    acr: Vec<Context>,
    max_age: Option<Duration>,
}

/// At least one of the two fields.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Accepted values of the claim `acr`.
    #[serde(default, deserialize_with = "contexts")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    acr: Option<Vec<Context>>,
    /// Longest time since the claim `auth_time`.
    max_age: Option<Duration>,
}

fn contexts<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Context>>, D::Error> {
    at_least_one(deserializer).map(Some)
}

impl TryFrom<Fields> for StepUp {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        match fields {
            Fields {
                acr: None,
                max_age: None,
            } => Err("found an empty object; expected \"acr\", \"max_age\" or both"),
            Fields { acr, max_age } => Ok(Self {
                acr: acr.unwrap_or_default(),
                max_age,
            }),
        }
    }
}

/// An authentication context class reference that can be quoted in a challenge.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
struct Context(String);

impl TryFrom<String> for Context {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match is_quotable(&text) {
            true => Ok(Self(text)),
            false => Err(format!(
                "found {text:?}; expected an acr: visible ASCII without blanks, quotes and backslashes"
            )),
        }
    }
}

impl StepUp {
    /// Checks how and when the user was authenticated. `clock_skew` is in seconds.
    pub(super) fn check(
        &self,
        claims: &Object,
        now: UnixSeconds,
        clock_skew: u64,
    ) -> Result<(), Reason> {
        let acr = claims.get("acr").and_then(Value::as_str);
        let is_accepted = |acr| self.acr.iter().any(|accepted| accepted.0 == acr);
        if !self.acr.is_empty() && !acr.is_some_and(is_accepted) {
            return Err(Reason::AuthenticationContext);
        }
        let Some(max_age) = self.max_age else {
            return Ok(());
        };
        let authenticated = claims.get("auth_time").and_then(numeric_date);
        let is_recent = |time: UnixSeconds| now <= time.plus(max_age.as_secs()).plus(clock_skew);
        match authenticated.is_some_and(is_recent) {
            true => Ok(()),
            false => Err(Reason::AuthenticationAge),
        }
    }

    /// The parameters of the challenge that state the requirement.
    pub(super) fn parameters(&self) -> String {
        let acr: Vec<&str> = self.acr.iter().map(|context| context.0.as_str()).collect();
        let acr = match acr.is_empty() {
            true => String::new(),
            false => format!(", acr_values=\"{}\"", acr.join(" ")),
        };
        let max_age = self
            .max_age
            .map(|age| format!(", max_age=\"{}\"", age.as_secs()));
        acr + &max_age.unwrap_or_default()
    }
}
