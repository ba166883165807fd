//! Rates: a number of requests per period.

use std::fmt;

use serde::Deserialize;

use portcullis_core::config::BoundedDuration;
use portcullis_core::time::Nanos;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    /// Number of requests. 0 denies all requests.
    pub(super) requests: Amount,
    /// The period, from `1ms` to `365d`.
    per: Period,
}

impl Rate {
    /// The period, at least a millisecond.
    pub(super) fn per(self) -> Nanos {
        self.per.nanos()
    }

    /// The number of requests and of whole seconds of the same rate, or of the next lower one that whole seconds
    /// can express.
    pub(super) fn in_seconds(self) -> (u64, u64) {
        let seconds = self.per().ceil_secs();
        let requests = u128::from(self.requests.0);
        let length = u128::from(seconds) * u128::from(Nanos::SECOND.get());
        let scaled = requests * length / u128::from(self.per().get());
        (u64::try_from(scaled).unwrap_or(u64::MAX), seconds)
    }
}

/// `100 per 1m`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.requests, self.per.get())
    }
}
