//! How the user was authenticated (RFC 9470).

use serde::Deserialize;
use serde_json::Value;

use super::reason::Reason;
use super::scope::{at_least_one, is_quotable};
use super::validity::seconds_of;
use crate::jose::Object;
use portcullis_core::config::Duration;

/// How a user has to be authenticated, by the claims `acr` and `auth_time`. A client that is refused
/// is told so (RFC 9470), and sends the user to authenticate again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct StepUp {
    /// Any of these; empty if it does not matter.
    acr: Vec<Context>,
    max_age: Option<Duration>,
}

/// At least one of these.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The claim `acr` is one of these.
    #[serde(default, deserialize_with = "contexts")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    acr: Option<Vec<Context>>,
    /// The claim `auth_time` is not further back than this.
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

/// An authentication context class reference, as it may stand in a challenge.
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
    /// Whether the user was authenticated so. `now` and `clock_skew` are in seconds.
    pub(super) fn check(&self, claims: &Object, now: u64, clock_skew: u64) -> Result<(), Reason> {
        let acr = claims.get("acr").and_then(Value::as_str);
        let is_accepted = |acr| self.acr.iter().any(|accepted| accepted.0 == acr);
        if !self.acr.is_empty() && !acr.is_some_and(is_accepted) {
            return Err(Reason::AuthenticationContext);
        }
        let Some(max_age) = self.max_age else {
            return Ok(());
        };
        let authenticated = claims.get("auth_time").and_then(seconds_of);
        let is_recent = |time: u64| {
            let latest = time.saturating_add(max_age.as_secs());
            now <= latest.saturating_add(clock_skew)
        };
        match authenticated.is_some_and(is_recent) {
            true => Ok(()),
            false => Err(Reason::AuthenticationAge),
        }
    }

    /// The parameters of the challenge that say what is required.
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
