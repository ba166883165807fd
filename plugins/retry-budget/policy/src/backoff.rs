//! For how long the sender of a retry that was denied is to wait.
//!
//! With *n* the number of the retry (1 for the first), the delay is
//!
//! | strategy | delay |
//! |---|---|
//! | `fixed` | base |
//! | `linear` | base × *n* |
//! | `exponential` | base × factorⁿ⁻¹ |
//!
//! and at most `max`. Then comes the jitter, which spreads out those that were denied together: `none`;
//! `equal`, half of the delay and a random part of the other half; `full`, a random part of the whole
//! (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
//!
//! `Retry-After` has whole seconds (RFC 9110, section 10.2.3): the delay is rounded up, and at least 1.

use serde::Deserialize;

use portcullis_core::config::{BoundedDuration, BoundedInteger, at_member};

const MAX: u64 = 24 * 60 * 60 * 1_000;
const SECOND: u64 = 1_000_000_000;

type Delay = BoundedDuration<1, MAX>;

/// A row of delays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Backoff {
    growth: Growth,
    base: u64,
    max: u64,
    jitter: Jitter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    Fixed,
    Linear,
    Exponential { factor: u64 },
}

/// How delays grow from retry to retry.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Strategy {
    /// Not at all.
    Fixed,
    /// By `base` each time.
    Linear,
    /// By `factor` each time.
    #[default]
    Exponential,
}

/// What chance does to a delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Jitter {
    /// Nothing.
    None,
    /// It is at least half as long.
    Equal,
    /// It can be anything up to its length.
    #[default]
    Full,
}

/// For how long the sender of a retry that was denied is told to wait.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// How delays grow from retry to retry.
    #[serde(default)]
    strategy: Strategy,
    /// The first delay, from `1ms` to `24h`. Default: `1s`.
    #[serde(default = "base")]
    base: Delay,
    /// By how much an exponential delay grows, from 1 to 10. Default: 2.
    factor: Option<BoundedInteger<1, 10>>,
    /// The longest delay, from `1ms` to `24h`. Default: `30s`, or `base` if that is longer.
    max: Option<Delay>,
    /// What chance does to a delay.
    #[serde(default)]
    jitter: Jitter,
}

fn base() -> Delay {
    const { BoundedDuration::millis(1_000) }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            growth: Growth::Exponential { factor: 2 },
            base: base().nanos().get(),
            max: 30 * SECOND,
            jitter: Jitter::default(),
        }
    }
}

impl TryFrom<Fields> for Backoff {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let default = Self::default();
        let growth = match (fields.strategy, fields.factor) {
            (Strategy::Exponential, None) => default.growth,
            (Strategy::Exponential, Some(factor)) => Growth::Exponential {
                factor: factor.get().into(),
            },
            (_, Some(_)) => {
                let message = "found a factor; only the strategy \"exponential\" has one";
                return Err(at_member("factor", message));
            }
            (Strategy::Fixed, None) => Growth::Fixed,
            (Strategy::Linear, None) => Growth::Linear,
        };
        let base = fields.base.nanos().get();
        if let Some(max) = fields.max.filter(|max| *max < fields.base) {
            let (max, base) = (max.get(), fields.base.get());
            let message =
                format!("found \"{max}\"; expected at least \"base\", which is \"{base}\"");
            return Err(at_member("max", message));
        }
        Ok(Self {
            growth,
            base,
            max: fields
                .max
                .map_or(default.max.max(base), |max| max.nanos().get()),
            jitter: fields.jitter,
        })
    }
}

impl Backoff {
    /// The delay of retry number `retry` in nanoseconds. `random` is any number, evenly distributed.
    fn delay(&self, retry: u32, random: u64) -> u64 {
        let grown = match self.growth {
            Growth::Fixed => self.base,
            Growth::Linear => self.base.saturating_mul(retry.into()),
            Growth::Exponential { factor } => {
                let growth = factor.saturating_pow(retry.saturating_sub(1));
                self.base.saturating_mul(growth)
            }
        };
        let delay = grown.min(self.max);
        match self.jitter {
            Jitter::None => delay,
            Jitter::Equal => delay / 2 + part(delay - delay / 2, random),
            Jitter::Full => part(delay, random),
        }
    }

    /// The same in whole seconds, at least 1.
    pub(super) fn retry_after(&self, retry: u32, random: u64) -> u64 {
        self.delay(retry, random).div_ceil(SECOND).max(1)
    }
}

/// Evenly from 0 to `whole`.
fn part(whole: u64, random: u64) -> u64 {
    let product = (u128::from(whole) + 1) * u128::from(random);
    // The upper half of a product of 64 bits each.
    (product >> u64::BITS) as u64
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
        [1, 2, 3, 4, u32::MAX].map(|retry| backoff.delay(retry, random) / 1_000_000)
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
