//! Numbers and durations with bounds.

use serde::{Deserialize, Deserializer};

use super::Duration;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// A default, which has to be within the bounds.
    pub const fn new(number: u32) -> Self {
        assert!(MIN <= number && number <= MAX, "not within the bounds");
        Self(number)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<u64> for Whole<MIN, MAX> {
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
impl<const MIN: u32, const MAX: u32> schemars::JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Whole".into()
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
pub struct Within<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Within<MIN, MAX> {
    /// A default, which has to be within the bounds.
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

    /// The duration in nanoseconds.
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.get().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [min, max] = [MIN, MAX].map(Duration::from_millis);
        Duration::deserialize_within(deserializer, min, max).map(Self)
    }
}
