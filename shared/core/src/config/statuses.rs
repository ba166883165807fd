//! HTTP statuses in configurations.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// An HTTP status, or a class of them: `401`, `"4xx"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// All statuses with this first digit.
    Class(u16),
    /// This status.
    One(u16),
}

impl Statuses {
    /// Whether a status is one of these.
    pub fn contains(self, status: u16) -> bool {
        match self {
            Self::Class(class) => status / 100 == class,
            Self::One(one) => status == one,
        }
    }

    /// The class of a text such as `4xx`.
    pub fn class(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [digit @ b'1'..=b'5', b'x', b'x'] => Some(Self::Class((*digit - b'0').into())),
            _ => None,
        }
    }

    /// The status of a number from 100 to 599.
    pub fn one(number: u64) -> Option<Self> {
        let status = u16::try_from(number).ok();
        status
            .filter(|status| (100..=599).contains(status))
            .map(Self::One)
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Statuses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a status from 100 to 599, or \"1xx\", \"2xx\", \"3xx\", \"4xx\", \"5xx\"",
                )
            }

            fn visit_u64<E: de::Error>(self, status: u64) -> Result<Statuses, E> {
                Statuses::one(status)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(status), &self))
            }

            fn visit_str<E: de::Error>(self, class: &str) -> Result<Statuses, E> {
                Statuses::class(class)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(class), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"enum": ["1xx", "2xx", "3xx", "4xx", "5xx"]},
            ],
        })
    }
}
