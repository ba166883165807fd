//! Names that appear in metric labels and response headers.

use std::fmt;
use std::rc::Rc;

use serde::{Deserialize, Deserializer, de};

/// The name of a plugin instance, a rule or a limit: 1 to 64 characters of `A-Z a-z 0-9 _ - . /`.
///
/// Names become values of metric labels. They cannot contain the characters that encode labels (see
/// `envoy/stats_tags.yaml`), so no name can be mistaken for another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Rc<str>);

const MAX_LENGTH: usize = 64;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses a name.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
            });
        valid.then(|| Self(text.into()))
    }
}

/// The name of an instance without a name.
impl Default for Name {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name: 1 to 64 of A-Z a-z 0-9 _ - . /")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
                Name::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_./-]{1,64}$"})
    }
}
