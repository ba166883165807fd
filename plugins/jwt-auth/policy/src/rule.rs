//! Which requests need which token.

use serde::{Deserialize, Deserializer, de};

use super::reason::Reason;
use super::scope::{Expected, Scope, at_least_one};
use super::step_up::StepUp;
use crate::jose::Object;
use portcullis_core::config::{Mode, Name, Text, at_member};
use portcullis_core::matcher::Match;

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
    /// None: all requests.
    pub(super) condition: Option<Match>,
    pub(super) require: Require,
    pub(super) allow_missing: bool,
    pub(super) conditions: Conditions,
    pub(super) mode: Mode,
}

/// What is required: tokens of providers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Require {
    /// Nothing. Tokens are not looked at.
    None,
    /// A token of this provider.
    Provider(Name),
    /// A token of one of these.
    #[serde(deserialize_with = "each_once")]
    Any(Vec<Name>),
    /// A token of each of these. The first one is the client's: its claims are published, and
    /// `scopes`, `claims` and `step_up` are about it.
    #[serde(deserialize_with = "each_once")]
    All(Vec<Name>),
}

impl Require {
    /// Each inner list stands for one token, which one of the providers in it has to issue.
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

/// What is required of the claims of a token that is valid.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) scopes: Vec<Scope>,
    claims: Vec<(Text, Expected)>,
    pub(super) step_up: Option<StepUp>,
}

impl Conditions {
    /// Whether claims that are as required here are as required there.
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

    /// Whether the claims are as required. What the client could mend last is checked last.
    pub(super) fn check(&self, claims: &Object, now: u64, clock_skew: u64) -> Result<(), Reason> {
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

/// Which requests need which token.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The name of the rule, in metrics: unique.
    name: Name,
    /// Which requests the rule is for. Without it: all.
    #[serde(rename = "match")]
    condition: Option<Match>,
    /// Which tokens a request needs.
    require: Require,
    /// Whether a request without any token passes. One with a token that is not valid does not.
    #[serde(default)]
    allow_missing: bool,
    /// Scopes that the token has to have, all of them.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// Claims by their paths (`realm_access.roles`), and what they have to be, all of them.
    #[serde(default)]
    claims: std::collections::BTreeMap<Text, Expected>,
    /// How the user has to be authenticated.
    step_up: Option<StepUp>,
    /// Whether to act, only to count and mark, or to ignore the rule, as if it were not there. The
    /// plugin's own `mode` holds too: the milder one counts.
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
                let message = "found true with \"require\": \"none\", which never asks";
                return Err(at_member("allow_missing", message));
            }
            let Conditions {
                scopes,
                claims,
                step_up,
            } = &conditions;
            if !scopes.is_empty() || !claims.is_empty() || step_up.is_some() {
                return Err(
                    "found \"scopes\", \"claims\" or \"step_up\" with \"require\": \"none\", where \
                     there is no token that could have them"
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
