//! Numbers and durations with bounds.

use serde::Deserialize;

use crate::config::Duration;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// A number, or the nearest within the bounds.
    pub(super) const fn near(number: u32) -> Self {
        match number {
            _ if number < MIN => Self(MIN),
            _ if number > MAX => Self(MAX),
            _ => Self(number),
        }
    }

    pub(super) fn get(self) -> u32 {
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

/// A part of all, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Percent(u8);

impl Percent {
    pub(super) const fn new(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    pub(super) fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Percent {
    type Error = String;

    fn try_from(percent: u64) -> Result<Self, String> {
        match u8::try_from(percent) {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err(format!(
                "found {percent}; expected a percentage: a whole number from 0 to 100"
            )),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 0, "maximum": 100})
    }
}

/// A duration from `MIN` to `MAX` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Duration", inline)
)]
#[serde(try_from = "Duration")]
pub(super) struct Within<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Within<MIN, MAX> {
    /// A default, which is within the bounds.
    pub(super) const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(super) fn get(self) -> Duration {
        self.0
    }

    pub(super) fn nanos(self) -> u64 {
        u64::try_from(self.0.get().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> TryFrom<Duration> for Within<MIN, MAX> {
    type Error = String;

    fn try_from(duration: Duration) -> Result<Self, String> {
        let [min, max] = [MIN, MAX].map(Duration::from_millis);
        match (min..=max).contains(&duration) {
            true => Ok(Self(duration)),
            false => Err(format!(
                "found \"{duration}\"; expected a duration from \"{min}\" to \"{max}\""
            )),
        }
    }
}
