//! Exemptions: what a request must not match.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::{Match, Subject};
use crate::config::at_member;
use crate::readings::Fit;

/// None of these may fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Not(Vec<Exemption>);

/// A match that is not empty and has no exemptions of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Match")]
struct Exemption(Match);

impl Not {
    /// An exemption holds in the readings in which its match does not.
    pub(super) fn fit(&self, subject: &Subject<'_>) -> Fit {
        Fit::all(self.iter().map(|one| one.fit(subject).opposite()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Match> {
        self.0.iter().map(|Exemption(one)| one)
    }
}

impl TryFrom<Match> for Exemption {
    type Error = String;

    fn try_from(exemption: Match) -> Result<Self, String> {
        if exemption.not.iter().next().is_some() {
            let message = "found a \"not\" inside another; expected one";
            return Err(at_member("not", message));
        }
        match exemption.is_empty() {
            true => Err("found no condition, which fits every request; leave it out".to_owned()),
            false => Ok(Self(exemption)),
        }
    }
}

/// Reads an object or an array of objects.
impl<'de> Deserialize<'de> for Not {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Not;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an object such as {\"path\": {\"exact\": \"/health\"}}, or an array of them",
                )
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<Not, A::Error> {
                let members = de::value::MapAccessDeserializer::new(members);
                Exemption::deserialize(members).map(|one| Not(vec![one]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Not, A::Error> {
                let mut exemptions = Vec::new();
                while let Some(exemption) = items.next_element()? {
                    exemptions.push(exemption);
                }
                Ok(Not(exemptions))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Not {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Not".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut one = generator.subschema_for::<Match>();
        one.insert("minProperties".to_owned(), 1.into());
        one.insert("not".to_owned(), serde_json::json!({"required": ["not"]}));
        schemars::json_schema!({"oneOf": [one, {"type": "array", "items": one}]})
    }
}
