//! Rates: a number of requests per period.

use std::fmt;

use serde::Deserialize;

use super::requests::Requests;
use portcullis_core::config::{BoundedDuration, at_member};
use portcullis_core::time::Nanos;
use portcullis_table::fingerprint;

/// A number of requests or a cost: at most a billion, so that sums and products stay far from the bounds of the
/// integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Amount(u32);

impl Amount {
    pub(super) const ONE: Self = Self(1);
    pub(super) const MAX: Self = Self(1_000_000_000);

    pub(super) fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for Amount {
    type Error = String;

    fn try_from(amount: u64) -> Result<Self, String> {
        match u32::try_from(amount).map(Self) {
            Ok(amount) if amount <= Self::MAX => Ok(amount),
            _ => Err(format!(
                "found {amount}; expected a whole number from 0 to {}",
                Self::MAX
            )),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 0, "maximum": Self::MAX.0})
    }
}

/// The period of a rate: from a millisecond to 365 days.
type Period = BoundedDuration<1, 31_536_000_000>;

/// Number of requests per period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "RateFields")
)]
#[serde(try_from = "RateFields")]
pub(super) struct Rate {
    pub(super) requests: Requests,
    per: Period,
}

/// Number of requests per period.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct RateFields {
    /// Number of requests, or the place in the request that contains it. 0 denies all requests.
    requests: Requests,
    /// The period, from `1ms` to `365d`.
    per: Period,
}

impl TryFrom<RateFields> for Rate {
    type Error = String;

    fn try_from(RateFields { requests, per }: RateFields) -> Result<Self, String> {
        // At a higher rate, intervals of whole nanoseconds would give each number of requests a period of its own.
        let most = per.nanos().get() / 1_000;
        match &requests {
            Requests::OfRequest(place) if u64::from(place.max().get()) > most => {
                let message = format!(
                    "found a \"max\" of {}; expected at most {most}, one request in a microsecond",
                    place.max()
                );
                Err(at_member("requests", message))
            }
            _ => Ok(Self { requests, per }),
        }
    }
}

impl Rate {
    /// The period, at least a millisecond.
    pub(super) fn per(&self) -> Nanos {
        self.per.nanos()
    }

    /// A hash of everything in the rate that gives a state its meaning. If requests bring their number, the state of
    /// a key has a meaning under any number, so `default` and `max` do not count.
    pub(super) fn identity(&self) -> u64 {
        match &self.requests {
            Requests::Fixed(requests) => fingerprint((requests, self.per)),
            Requests::OfRequest(place) => fingerprint((place.source(), self.per)),
        }
    }

    /// The number of requests and of whole seconds of the rate with this number of requests, or of the next lower
    /// one that whole seconds can express.
    pub(super) fn in_seconds(&self, requests: u32) -> (u64, u64) {
        let seconds = self.per().ceil_secs();
        let requests = u128::from(requests);
        let length = u128::from(seconds) * u128::from(Nanos::SECOND.get());
        let scaled = requests * length / u128::from(self.per().get());
        (u64::try_from(scaled).unwrap_or(u64::MAX), seconds)
    }
}

/// `100 per 1m`, or `claim "plan.rpm" (default 60, at most 10000) per 1m`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.requests, self.per.get())
    }
}
