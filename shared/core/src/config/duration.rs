//! Durations, written for people.

use std::fmt;
use std::time;

use serde::{Deserialize, Deserializer, de};

use crate::time::Nanos;

/// A duration: a whole number and a unit, such as `"250ms"`, `"10s"`, `"1m"`, `"24h"` or `"365d"`.
///
/// A day is 86,400 seconds. The longest duration is 3,652,500 days (about 10,000 years), so that adding one to a
/// date does not overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(time::Duration);

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const MAX_MILLIS: u64 = 3_652_500 * 86_400_000;

impl Duration {
    /// A duration in milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(time::Duration::from_millis(milliseconds))
    }

    /// A duration in seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }

    /// A duration in days of 86,400 seconds.
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days * 86_400)
    }

    /// The duration in whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// The duration as the standard library's type.
    pub const fn get(self) -> time::Duration {
        self.0
    }

    /// The duration as the type that policies compute with. More than 584 years become [`Nanos::MAX`].
    pub fn nanos(self) -> Nanos {
        self.0.into()
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let millis = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let total = number.parse::<u64>().ok()?.checked_mul(millis)?;
        (total <= MAX_MILLIS).then(|| Self(time::Duration::from_millis(total)))
    }
}

/// The shortest exact form that a configuration accepts.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let (unit, size) = UNITS
            .iter()
            .rev()
            .find(|(_, size)| millis.is_multiple_of(u128::from(*size)) && millis > 0)
            .unwrap_or(&("s", 1_000));
        write!(f, "{}{unit}", millis / u128::from(*size))
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let longest = Self::from_millis(MAX_MILLIS);
        Self::deserialize_within(deserializer, Self::from_millis(0), longest)
    }
}

impl Duration {
    /// Reads a duration from `min` to `max`, both included. Every error names the bounds.
    pub fn deserialize_within<'de, D: Deserializer<'de>>(
        deserializer: D,
        min: Self,
        max: Self,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Bounds { min, max })
    }
}

struct Bounds {
    min: Duration,
    max: Duration,
}

impl de::Visitor<'_> for Bounds {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max } = self;
        write!(
            f,
            "a duration from \"{min}\" to \"{max}\", written as a whole number and one of ms, s, m, h, d"
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        let duration = Duration::parse(text)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
        let Self { min, max } = self;
        match min <= duration && duration <= max {
            true => Ok(duration),
            false => {
                let expected = format!("a duration from \"{min}\" to \"{max}\"");
                Err(E::invalid_value(
                    de::Unexpected::Str(text),
                    &expected.as_str(),
                ))
            }
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "examples": ["250ms", "10s", "1m", "24h", "365d"],
        })
    }
}
