//! The delay before the sender of a denied retry may try again.
//!
//! With *n* the number of the retry (1 for the first), the delay is
//!
//! | strategy | delay |
//! |---|---|
//! | `fixed` | base |
//! | `linear` | base × *n* |
//! | `exponential` | base × factorⁿ⁻¹ |
//!
//! and at most `max`. The [jitter](portcullis_core::backoff) then spreads out clients that were denied together:
//! `none`; `equal`, half of the delay and a random part of the other half; `full`, a random part of the whole delay.
//!
//! `Retry-After` has whole seconds (RFC 9110, section 10.2.3): the delay is rounded up, and is at least 1.

use serde::Deserialize;

use portcullis_core::backoff;
use portcullis_core::config::{BoundedDuration, BoundedInteger, at_member};
use portcullis_core::time::Nanos;

/// From a millisecond to a day.
type Delay = BoundedDuration<1, 86_400_000>;

/// Delay before the sender of a denied retry may try again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Backoff {
    is_linear: bool,
    /// With a factor of 1 unless the strategy is exponential.
    series: backoff::Backoff,
}

/// How the delay grows from retry to retry.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Strategy {
    /// The delay does not grow.
    Fixed,
    /// The delay grows by `base` each time.
    Linear,
    /// The delay grows by `factor` each time.
    #[default]
    Exponential,
}

/// How the delay varies at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Jitter {
    /// The delay does not vary.
    None,
    /// At least half of the delay.
    Equal,
    /// Any value up to the delay.
    #[default]
    Full,
}

impl From<Jitter> for backoff::Jitter {
    fn from(jitter: Jitter) -> Self {
        match jitter {
            Jitter::None => Self::None,
            Jitter::Equal => Self::Equal,
            Jitter::Full => Self::Full,
        }
    }
}

/// Delay before the sender of a denied retry may try again.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// How the delay grows from retry to retry.
    #[serde(default)]
    strategy: Strategy,
    /// First delay: `1ms` to `24h`. Default: `1s`.
    #[serde(default = "base")]
    base: Delay,
    /// Factor by which an exponential delay grows: 1 to 10. Default: 2.
    factor: Option<BoundedInteger<1, 10>>,
    /// Longest delay: `1ms` to `24h`. Default: `30s`, or `base` if that is longer.
    max: Option<Delay>,
    /// How the delay varies at random.
    #[serde(default)]
    jitter: Jitter,
}

fn base() -> Delay {
    const { BoundedDuration::millis(1_000) }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            is_linear: false,
            series: backoff::Backoff {
                base: base().nanos(),
                factor: 2,
                max: Nanos::from_secs(30),
                jitter: Jitter::default().into(),
            },
        }
    }
}

impl TryFrom<Fields> for Backoff {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let default = Self::default().series;
        let factor = match (fields.strategy, fields.factor) {
            (Strategy::Exponential, None) => default.factor,
            (Strategy::Exponential, Some(factor)) => factor.get(),
            (_, Some(_)) => {
                let message = "found a factor; only the strategy \"exponential\" has one";
                return Err(at_member("factor", message));
            }
            (Strategy::Fixed | Strategy::Linear, None) => 1,
        };
        let base = fields.base.nanos();
        if let Some(max) = fields.max.filter(|max| *max < fields.base) {
            let (max, base) = (max.get(), fields.base.get());
            let message =
                format!("found \"{max}\"; expected at least \"base\", which is \"{base}\"");
            return Err(at_member("max", message));
        }
        Ok(Self {
            is_linear: fields.strategy == Strategy::Linear,
            series: backoff::Backoff {
                base,
                factor,
                max: fields.max.map_or(default.max.max(base), Delay::nanos),
                jitter: fields.jitter.into(),
            },
        })
    }
}

impl Backoff {
    /// The delay of retry number `retry`. `random` is any number, evenly distributed.
    fn delay(&self, retry: u32, random: u64) -> Nanos {
        let series = &self.series;
        match self.is_linear {
            true => {
                let delay = (series.base * retry.into()).min(series.max);
                series.jitter.apply(delay, random)
            }
            false => series.delay(retry.saturating_sub(1), random),
        }
    }

    /// The same delay in whole seconds, at least 1.
    pub(super) fn retry_after(&self, retry: u32, random: u64) -> u64 {
        self.delay(retry, random).ceil_secs().max(1)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn backoff(config: &str) -> Backoff {
        serde_json::from_str(config).unwrap()
    }

    /// The delays of the first retries in milliseconds.
    fn delays(config: &str, random: u64) -> [u64; 5] {
        let backoff = backoff(config);
        [1, 2, 3, 4, u32::MAX].map(|retry| backoff.delay(retry, random).get() / 1_000_000)
    }

    #[test]
    fn delays_grow_as_the_strategy_says_up_to_the_longest() {
        let fixed = r#"{"strategy": "fixed", "base": "250ms", "jitter": "none"}"#;
        assert_eq!(delays(fixed, 0), [250; 5]);
        let linear = r#"{"strategy": "linear", "base": "250ms", "max": "900ms", "jitter": "none"}"#;
        assert_eq!(delays(linear, 0), [250, 500, 750, 900, 900]);
        let exponential = r#"{"strategy": "exponential", "base": "100ms", "factor": 3, "max": "1s", "jitter": "none"}"#;
        assert_eq!(delays(exponential, 0), [100, 300, 900, 1_000, 1_000]);
        assert_eq!(
            delays(r#"{"jitter": "none"}"#, 0),
            [1_000, 2_000, 4_000, 8_000, 30_000]
        );
        let long = r#"{"base": "1h", "jitter": "none"}"#;
        assert_eq!(delays(long, 0), [3_600_000; 5]);
    }

    #[test]
    fn jitter_takes_away_up_to_half_or_all() {
        let equal = r#"{"strategy": "fixed", "base": "100ms", "jitter": "equal"}"#;
        for (random, delay) in [(0, 50), (1 << 63, 75), (u64::MAX, 100)] {
            assert_eq!(delays(equal, random), [delay; 5]);
        }
        let full = r#"{"strategy": "fixed", "base": "100ms"}"#;
        for (random, delay) in [(0, 0), (1 << 63, 50), (u64::MAX, 100)] {
            assert_eq!(delays(full, random), [delay; 5]);
        }
    }

    #[test]
    fn seconds_are_rounded_up_and_at_least_one() {
        let fixed = |base: &str| {
            let config = format!(r#"{{"strategy": "fixed", "base": "{base}", "jitter": "none"}}"#);
            backoff(&config).retry_after(1, 0)
        };
        let bases = ["1ms", "1000ms", "1001ms", "24h"];
        assert_eq!(bases.map(fixed), [1, 1, 2, 86_400]);
        assert_eq!(Backoff::default().retry_after(1, 0), 1);
    }
}
