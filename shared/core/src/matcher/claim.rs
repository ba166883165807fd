//! Conditions on claims of the token that jwt-auth has verified.

use serde::{Deserialize, Deserializer, de};

use super::Match;
use super::condition::Condition;
use super::regex::Regex;
use crate::config::{Text, at_member};
use crate::key::claim;

/// A condition on one claim: its path, and exactly one of `exact`, `prefix`, `regex` and `present`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct ClaimMatch {
    path: Text,
    condition: Condition,
}

impl ClaimMatch {
    /// Whether the condition holds for this claims set, which is empty without a token. A claim has one reading.
    pub(super) fn holds(&self, claims: &[u8]) -> bool {
        let path = self.path.as_str();
        match &self.condition {
            Condition::Value(pattern) => {
                let matches = |text: &str| pattern.matches(text.as_bytes());
                claim::test(claims, path, matches).unwrap_or(false)
            }
            Condition::Present(present) => {
                claim::test(claims, path, |text| !text.is_empty()).unwrap_or(false) == *present
            }
        }
    }
}

/// A condition on one claim: the path, and exactly one of the other members.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 2, "maxProperties" = 2))
)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The path of the claim: `sub`, or `a.b` for member `b` of `a`.
    name: Text,
    /// The claim is equal to this text. A number or a boolean is compared as JSON writes it.
    exact: Option<String>,
    /// The claim starts with this text.
    prefix: Option<String>,
    /// The whole claim matches this regular expression.
    regex: Option<Regex>,
    /// `true`: the claim is a non-empty text, a number or a boolean. `false`: it is not.
    present: Option<bool>,
}

impl TryFrom<Fields> for ClaimMatch {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields {
            name,
            exact,
            prefix,
            regex,
            present,
        } = fields;
        Ok(Self {
            path: name,
            condition: Condition::new(exact, prefix, regex, present)?,
        })
    }
}

/// Reads a match without conditions on claims, for rules that are chosen before jwt-auth has verified a token.
pub fn without_claims<'de, D, M>(deserializer: D) -> Result<M, D::Error>
where
    D: Deserializer<'de>,
    M: Deserialize<'de> + AsMatch,
{
    let found = M::deserialize(deserializer)?;
    let Some(condition) = found
        .as_match()
        .filter(|condition| condition.needs_claims())
    else {
        return Ok(found);
    };
    let member = match condition.claims.is_empty() {
        true => "not",
        false => "claims",
    };
    let message = "found a condition on claims; expected none: this rule is chosen before jwt-auth has \
                   verified a token";
    Err(de::Error::custom(at_member(member, message)))
}

/// A field with a [`Match`].
pub trait AsMatch {
    /// The match, if there is one.
    fn as_match(&self) -> Option<&Match>;
}

impl AsMatch for Match {
    fn as_match(&self) -> Option<&Match> {
        Some(self)
    }
}

impl AsMatch for Option<Match> {
    fn as_match(&self) -> Option<&Match> {
        self.as_ref()
    }
}
