//! The size of the window, as it is configured.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::machine::MAX_RESULTS;
use portcullis_core::config::{BoundedDuration, at_member};
use portcullis_core::time::Nanos;

/// The window of results over which rates are computed. Default: 30 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) enum WindowSize {
    /// The results of this time.
    Time(Nanos),
    /// This many results.
    Count(u16),
}

/// From 10 milliseconds to an hour.
type Length = BoundedDuration<10, 3_600_000>;

/// The window of results over which rates are computed.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Unit of the size.
    #[serde(rename = "type")]
    kind: Kind,
    /// With type `time`, a duration from `10ms` to `1h`. With type `count`, a number of results from 1 to 500.
    size: Size,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// The results of a period of time, in ten buckets.
    Time,
    /// The last results, up to a number.
    Count,
}

enum Size {
    Duration(Length),
    Number(u64),
}

impl Default for WindowSize {
    fn default() -> Self {
        Self::Time(Length::millis(30_000).nanos())
    }
}

impl TryFrom<Fields> for WindowSize {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let size = |message: String| Err(at_member("size", message));
        match (fields.kind, fields.size) {
            (Kind::Time, Size::Duration(length)) => Ok(Self::Time(length.nanos())),
            (Kind::Count, Size::Number(number)) => match u16::try_from(number) {
                Ok(results @ 1..=MAX_RESULTS) => Ok(Self::Count(results)),
                _ => size(format!(
                    "found {number}; expected a number of results from 1 to {MAX_RESULTS}"
                )),
            },
            (Kind::Time, Size::Number(number)) => size(format!(
                "found {number} with \"type\": \"time\"; expected a duration such as \"30s\""
            )),
            (Kind::Count, Size::Duration(length)) => size(format!(
                "found \"{}\" with \"type\": \"count\"; expected a number of results from 1 to {MAX_RESULTS}",
                length.get()
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\", or a number of results")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Size, E> {
                Ok(Size::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Length::deserialize(de::value::StrDeserializer::new(text)).map(Size::Duration)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let duration = generator.subschema_for::<portcullis_core::config::Duration>();
        schemars::json_schema!({
            "oneOf": [duration, {"type": "integer", "minimum": 1, "maximum": MAX_RESULTS}],
        })
    }
}
