//! The tokens that requests need.

use serde::{Deserialize, Deserializer, de};

use super::reason::Reason;
use super::scope::{Expected, Scope, at_least_one};
use super::step_up::StepUp;
use crate::jose::Object;
use portcullis_core::config::{Mode, Name, Text, at_member};
use portcullis_core::matcher::{Match, without_claims};
use portcullis_core::time::UnixSeconds;

/// A rule of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Rule {
    pub(super) name: Name,
    /// `None`: all requests.
    pub(super) condition: Option<Match>,
    pub(super) require: Require,
    pub(super) allow_missing: bool,
    pub(super) conditions: Conditions,
    pub(super) mode: Mode,
}

/// Required tokens, by provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Require {
    /// No token. The plugin ignores tokens.
    None,
    /// A token of this provider.
    Provider(Name),
    /// A token of one of these providers.
    #[serde(deserialize_with = "each_once")]
    Any(Vec<Name>),
    /// A token of each of these providers. The first one is the client's: its claims are published, and `scopes`,
    /// `claims` and `step_up` apply to it.
    #[serde(deserialize_with = "each_once")]
    All(Vec<Name>),
}

impl Require {
    /// Each inner list stands for one token, which any of its providers may issue.
    pub(super) fn tokens(&self) -> Vec<Vec<&Name>> {
        match self {
            Self::None => Vec::new(),
            Self::Provider(name) => vec![vec![name]],
            Self::Any(names) => vec![names.iter().collect()],
            Self::All(names) => names.iter().map(|name| vec![name]).collect(),
        }
    }
}

fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Name>, D::Error> {
    let names: Vec<Name> = at_least_one(deserializer)?;
    let mut rest = names.iter();
    while let Some(name) = rest.next() {
        if rest.as_slice().contains(name) {
            return Err(de::Error::custom(format!(
                "found {:?} twice; expected each provider once",
                name.as_str()
            )));
        }
    }
    Ok(names)
}

/// Requirements on the claims of a valid token.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) scopes: Vec<Scope>,
    claims: Vec<(Text, Expected)>,
    pub(super) step_up: Option<StepUp>,
}

impl Conditions {
    /// Whether claims that meet these conditions also meet the other ones.
    pub(super) fn include(&self, other: &Self) -> bool {
        let Self {
            scopes,
            claims,
            step_up,
        } = other;
        scopes.iter().all(|scope| self.scopes.contains(scope))
            && claims.iter().all(|claim| self.claims.contains(claim))
            && (step_up.is_none() || *step_up == self.step_up)
    }

    /// Checks the claims. The step-up comes last: the client can fix that, and only if the rest is met.
    pub(super) fn check(
        &self,
        claims: &Object,
        now: UnixSeconds,
        clock_skew: u64,
    ) -> Result<(), Reason> {
        if !self.scopes.iter().all(|scope| scope.is_in(claims)) {
            return Err(Reason::Scope);
        }
        if !self
            .claims
            .iter()
            .all(|(path, expected)| expected.holds(path, claims))
        {
            return Err(Reason::Claim);
        }
        match &self.step_up {
            Some(step_up) => step_up.check(claims, now, clock_skew),
            None => Ok(()),
        }
    }
}

/// The tokens that requests need.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Unique name of the rule, used in metrics.
    name: Name,
    /// Requests to which the rule applies. Default: all.
    #[serde(rename = "match", default, deserialize_with = "without_claims")]
    #[cfg_attr(feature = "schema", schemars(extend("not" = {"required": ["claims"]})))]
    condition: Option<Match>,
    /// Tokens that a request needs.
    require: Require,
    /// Whether a request without any token passes. A request with an invalid token never does.
    #[serde(default)]
    allow_missing: bool,
    /// Scopes that the token needs, all of them.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// Paths of claims (`realm_access.roles`) and their required values, all of them.
    #[serde(default)]
    claims: std::collections::BTreeMap<Text, Expected>,
    /// How and when the user must have been authenticated.
    step_up: Option<StepUp>,
    /// `enforce`; `shadow`: decide, count and mark, but let every request pass; `off`: as if the rule did not exist.
    /// The milder of this `mode` and the plugin's applies.
    #[serde(default)]
    mode: Mode,
}

impl TryFrom<Fields> for Rule {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let conditions = Conditions {
            scopes: fields.scopes,
            claims: fields.claims.into_iter().collect(),
            step_up: fields.step_up,
        };
        if fields.require == Require::None {
            if fields.allow_missing {
                let message = "found true with \"require\": \"none\", which needs no token";
                return Err(at_member("allow_missing", message));
            }
            let Conditions {
                scopes,
                claims,
                step_up,
            } = &conditions;
            if !scopes.is_empty() || !claims.is_empty() || step_up.is_some() {
                return Err(
                    "found \"scopes\", \"claims\" or \"step_up\" with \"require\": \"none\", which needs \
                     no token that could meet them"
                        .to_owned(),
                );
            }
        }
        Ok(Self {
            name: fields.name,
            condition: fields.condition,
            require: fields.require,
            allow_missing: fields.allow_missing,
            conditions,
            mode: fields.mode,
        })
    }
}
