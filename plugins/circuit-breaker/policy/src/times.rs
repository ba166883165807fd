//! The parts of a breaker's configuration that are about time: what is slow, how long to stay open, and
//! how to find out whether to close.

use serde::Deserialize;

use super::machine::OpenTime;
use portcullis_core::config::{BoundedDuration, BoundedInteger, at_member};

/// A part of all, in percent.
pub(super) type Percent = BoundedInteger<0, 100>;
/// From a millisecond to a day.
pub(super) type UpToADay = BoundedDuration<1, 86_400_000>;
/// From a millisecond to an hour.
type UpToAnHour = BoundedDuration<1, 3_600_000>;

/// A trigger that is not configured.
pub(super) fn off<const MAX: u32>() -> BoundedInteger<0, MAX> {
    BoundedInteger::new(0)
}

/// What is slow, and when to open for that.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Slow {
    /// A response whose headers take longer is slow: `1ms` to `1h`.
    pub(super) threshold: UpToAnHour,
    /// From how many percent of slow responses on to open. 0: never for that.
    #[serde(default = "off::<100>")]
    pub(super) rate: Percent,
}

/// For how long to stay open.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "OpenFields")
)]
#[serde(try_from = "OpenFields")]
pub(super) struct Open {
    pub(super) time: OpenTime,
    pub(super) respects_retry_after: bool,
}

/// For how long to stay open.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct OpenFields {
    /// The first time: `1ms` to `24h`. Default: `5s`.
    base: UpToADay,
    /// By how much longer each time that follows without having closed: 1 to 100. Default: 2.
    factor: BoundedInteger<1, 100>,
    /// The longest time, before jitter: `1ms` to `24h`. Default: `5m`, or `base` if that is longer.
    max: Option<UpToADay>,
    /// By how many percent to vary the time, up and down. Default: 20.
    jitter: Percent,
    /// Whether to stay open for as long as `Retry-After` of a failure says, at most `max`. Default:
    /// true.
    respect_retry_after: bool,
}

impl Default for OpenFields {
    fn default() -> Self {
        Self {
            base: UpToADay::millis(5_000),
            factor: BoundedInteger::new(2),
            max: None,
            jitter: BoundedInteger::new(20),
            respect_retry_after: true,
        }
    }
}

impl Default for Open {
    fn default() -> Self {
        let fields = OpenFields::default();
        Self::of(&fields, fields.usual_max())
    }
}

impl OpenFields {
    fn usual_max(&self) -> UpToADay {
        UpToADay::millis(300_000).max(self.base)
    }
}

impl Open {
    fn of(fields: &OpenFields, max: UpToADay) -> Self {
        Self {
            time: OpenTime {
                base: fields.base.nanos().get(),
                factor: fields.factor.get(),
                max: max.nanos().get(),
                jitter: fields.jitter.get(),
            },
            respects_retry_after: fields.respect_retry_after,
        }
    }
}

impl TryFrom<OpenFields> for Open {
    type Error = String;

    fn try_from(fields: OpenFields) -> Result<Self, String> {
        let max = fields.max.unwrap_or(fields.usual_max());
        if max < fields.base {
            let (max, base) = (max.get(), fields.base.get());
            let message =
                format!("found \"{max}\"; expected at least \"base\", which is \"{base}\"");
            return Err(at_member("max", message));
        }
        Ok(Self::of(&fields, max))
    }
}

/// How to find out whether to close again.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct HalfOpen {
    /// How many requests pass as probes: 1 to 1000. Default: 3.
    pub(super) permits: BoundedInteger<1, 1_000>,
    /// After what time a probe of which nothing is heard makes room for another: `1ms` to `1h`.
    /// Default: `30s`.
    pub(super) max_wait: UpToAnHour,
}

impl Default for HalfOpen {
    fn default() -> Self {
        Self {
            permits: BoundedInteger::new(3),
            max_wait: UpToAnHour::millis(30_000),
        }
    }
}
