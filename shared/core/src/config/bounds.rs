//! Integers and durations with bounds.

use serde::{Deserialize, Deserializer};

use super::Duration;
use crate::time::Nanos;

/// An integer from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct BoundedInteger<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> BoundedInteger<MIN, MAX> {
    /// A constant, such as a default. It must lie within the bounds; in a `const`, the compiler checks that.
    pub const fn new(number: u32) -> Self {
        assert!(MIN <= number && number <= MAX, "not within the bounds");
        Self(number)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<u64> for BoundedInteger<MIN, MAX> {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!(
                "found {number}; expected a whole number from {MIN} to {MAX}"
            )),
        }
    }
}

#[cfg(feature = "schema")]
impl<const MIN: u32, const MAX: u32> schemars::JsonSchema for BoundedInteger<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BoundedInteger".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A duration from `MIN` to `MAX` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Duration", inline)
)]
pub struct BoundedDuration<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> BoundedDuration<MIN, MAX> {
    /// A constant in milliseconds, such as a default. It must lie within the bounds; in a `const`, the compiler
    /// checks that.
    pub const fn millis(milliseconds: u64) -> Self {
        assert!(
            MIN <= milliseconds && milliseconds <= MAX,
            "not within the bounds"
        );
        Self(Duration::from_millis(milliseconds))
    }

    /// The duration.
    pub fn get(self) -> Duration {
        self.0
    }

    /// The duration as the type that policies compute with.
    pub fn nanos(self) -> Nanos {
        self.0.nanos()
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for BoundedDuration<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [min, max] = [MIN, MAX].map(Duration::from_millis);
        Duration::deserialize_within(deserializer, min, max).map(Self)
    }
}
