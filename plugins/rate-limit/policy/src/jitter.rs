//! Jitter in `Retry-After`.
//!
//! Clients that were denied together would return together. A random number of whole seconds, from none to the longest
//! one, is added to the time after which the request could be admitted, so a client never returns too early.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use portcullis_core::backoff::fraction;
use portcullis_core::config::{BoundedDuration, BoundedInteger};
use portcullis_core::time::Nanos;

/// The longest additional time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jitter {
    Time(UpToADay),
    /// Of the time itself.
    Percent(Percent),
}

/// From a second to a day.
type UpToADay = BoundedDuration<1_000, 86_400_000>;
/// Up to as much again.
type Percent = BoundedInteger<1, 100>;

impl Jitter {
    /// A number of seconds, at least this many. `random` is any number, evenly distributed.
    pub(super) fn applied_to(self, seconds: u64, random: u64) -> u64 {
        let longest = match self {
            Self::Time(time) => time.nanos().ceil_secs(),
            Self::Percent(percent) => {
                let product = u128::from(seconds) * u128::from(percent.get());
                u64::try_from(product.div_ceil(100)).unwrap_or(u64::MAX)
            }
        };
        // One more, so that the longest is reached too.
        let more = fraction(Nanos::new(longest.saturating_add(1)), random);
        seconds.saturating_add(more.get())
    }
}

/// Reads a duration or a number.
impl<'de> Deserialize<'de> for Jitter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Jitter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration from \"1s\" to \"1d\", or a whole number of percent from 1 to 100",
                )
            }

            fn visit_u64<E: de::Error>(self, percent: u64) -> Result<Jitter, E> {
                let percent = Percent::try_from(percent);
                percent.map(Jitter::Percent).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Jitter, E> {
                let time = UpToADay::deserialize(de::value::StrDeserializer::<E>::new(text));
                time.map(Jitter::Time)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Jitter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Jitter".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let time = generator.subschema_for::<UpToADay>();
        let percent = generator.subschema_for::<Percent>();
        schemars::json_schema!({"oneOf": [time, percent]})
    }
}
