//! The parts of a breaker's configuration that are about time: slow responses, the open time, and half-open circuits.

use serde::Deserialize;

use portcullis_core::backoff::{Backoff, Jitter};
use portcullis_core::config::{BoundedDuration, BoundedInteger, at_member};

/// A percentage.
pub(super) type Percent = BoundedInteger<0, 100>;
/// From a millisecond to a day.
pub(super) type UpToADay = BoundedDuration<1, 86_400_000>;
/// From a millisecond to an hour.
type UpToAnHour = BoundedDuration<1, 3_600_000>;

/// The default of triggers and limits: disabled.
pub(super) fn off<const MAX: u32>() -> BoundedInteger<0, MAX> {
    BoundedInteger::new(0)
}

/// Which responses are slow, and how many of them open the circuit.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Slow {
    /// A response is slow if its headers take longer than this, counted from the end of the request: `1ms` to `1h`.
    pub(super) threshold: UpToAnHour,
    /// Percentage of slow responses that opens the circuit; 0 disables this trigger.
    #[serde(default = "off::<100>")]
    pub(super) rate: Percent,
}

/// How long a circuit stays open.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "OpenFields")
)]
#[serde(try_from = "OpenFields")]
pub(super) struct Open {
    pub(super) time: Backoff,
    pub(super) respects_retry_after: bool,
}

/// How long a circuit stays open.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct OpenFields {
    /// Open time when the circuit opens for the first time: `1ms` to `24h`. Default: `5s`.
    base: UpToADay,
    /// Factor by which the open time grows each time the circuit opens again without having closed: 1 to 100.
    /// Default: 2.
    factor: BoundedInteger<1, 100>,
    /// Longest open time, before jitter: `1ms` to `24h`. Default: `5m`, or `base` if that is longer.
    max: Option<UpToADay>,
    /// Percentage by which the open time varies at random, up and down. Default: 20.
    jitter: Percent,
    /// Whether a circuit stays open at least as long as a failure asked for in `Retry-After`, but no longer than
    /// `max`. Default: true.
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
        Self::of(&fields, fields.default_max())
    }
}

impl OpenFields {
    fn default_max(&self) -> UpToADay {
        UpToADay::millis(300_000).max(self.base)
    }
}

impl Open {
    fn of(fields: &OpenFields, max: UpToADay) -> Self {
        Self {
            time: Backoff {
                base: fields.base.nanos(),
                factor: fields.factor.get(),
                max: max.nanos(),
                jitter: Jitter::PlusMinus {
                    percent: fields.jitter.get(),
                },
            },
            respects_retry_after: fields.respect_retry_after,
        }
    }
}

impl TryFrom<OpenFields> for Open {
    type Error = String;

    fn try_from(fields: OpenFields) -> Result<Self, String> {
        let max = fields.max.unwrap_or(fields.default_max());
        if max < fields.base {
            let (max, base) = (max.get(), fields.base.get());
            let message =
                format!("found \"{max}\"; expected at least \"base\", which is \"{base}\"");
            return Err(at_member("max", message));
        }
        Ok(Self::of(&fields, max))
    }
}

/// How a half-open circuit finds out whether to close.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct HalfOpen {
    /// Number of requests that pass as probes: 1 to 1000. Default: 3.
    pub(super) permits: BoundedInteger<1, 1_000>,
    /// Time after which a probe without a result frees its permit for another request: `1ms` to `1h`. Default: `30s`.
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
