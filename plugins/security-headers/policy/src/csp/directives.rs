//! A policy in the form of the configuration: an object of directives.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::NONCE;
use super::directive::{DIRECTIVES, Directive};
use super::source::NOTHING;

/// Directives in the order of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Directives(Vec<(&'static Directive, Vec<String>)>);

impl Directives {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The policy for a response without a nonce. A list that would become empty says `'none'`, because some browsers
    /// ignore a directive with an empty list.
    pub(super) fn without_nonces(&self) -> Self {
        let directives = self.0.iter().map(|(directive, items)| {
            let mut rest: Vec<String> = items
                .iter()
                .filter(|item| *item != NONCE)
                .cloned()
                .collect();
            if rest.is_empty() && !items.is_empty() {
                rest.push(NOTHING.to_owned());
            }
            (*directive, rest)
        });
        Self(directives.collect())
    }
}

/// The form of the header.
impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (directive, items)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            f.write_str(directive.name)?;
            for item in items {
                write!(f, " {item}")?;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Directives {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Directives;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of directives, each with a list of sources")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Directives, A::Error> {
                let mut directives = Vec::new();
                while let Some(DirectiveName(directive)) = map.next_key()? {
                    directives.push((directive, map.next_value_seed(ListOf(directive))?));
                }
                Ok(Directives(directives))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

struct DirectiveName(&'static Directive);

impl<'de> Deserialize<'de> for DirectiveName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let directive = Directive::find(&name).ok_or_else(|| {
            let allowed = DIRECTIVES.each_ref().map(|directive| directive.name);
            de::Error::custom(format!(
                "unknown directive; allowed: {}",
                allowed.join(", ")
            ))
        })?;
        Ok(Self(directive))
    }
}

/// The items of a directive.
#[derive(Clone, Copy)]
struct ListOf(&'static Directive);

impl<'de> DeserializeSeed<'de> for ListOf {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ListOf {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(ItemOf(self.0))? {
            items.push(item);
        }
        self.0.check_list(&items).map_err(de::Error::custom)?;
        Ok(items)
    }
}

/// One item of a directive. Each is checked when it is read, so that all errors are reported.
struct ItemOf(&'static Directive);

impl<'de> DeserializeSeed<'de> for ItemOf {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let item = String::deserialize(deserializer)?;
        match self.0.check_item(&item) {
            Ok(()) => Ok(item),
            Err(expected) => Err(de::Error::custom(format!(
                "found {item:?}; expected {expected}"
            ))),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Directives {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CspDirectives".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "propertyNames": {"enum": DIRECTIVES.each_ref().map(|directive| directive.name)},
            "additionalProperties": {"type": "array", "items": {"type": "string"}}
        })
    }
}
