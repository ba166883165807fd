//! The circuit breaker that a budget respects, as the configuration names it.

use serde::Deserialize;

use portcullis_core::config::Name;
use portcullis_core::time::Nanos;
use portcullis_table::KeyHash;

use super::BudgetId;

/// A breaker of circuit-breaker, written `<policy>/<breaker>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub struct BreakerName {
    /// The instance of circuit-breaker.
    pub policy: Name,
    /// The name of the breaker.
    pub breaker: Name,
}

impl TryFrom<String> for BreakerName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Names may contain slashes. Any of them can separate the two, because both names are only used joined again.
        let names = text
            .split_once('/')
            .and_then(|(policy, breaker)| Some((Name::parse(policy)?, Name::parse(breaker)?)));
        match names {
            Some((policy, breaker)) => Ok(Self { policy, breaker }),
            None => Err(format!(
                "found {text:?}; expected the name of a circuit-breaker policy, a slash, and the name \
                 of one of its breakers"
            )),
        }
    }
}

/// A query for the state of a breaker.
#[derive(Clone, Copy, Debug)]
pub struct BreakerQuery {
    /// The budget that respects the breaker.
    pub budget: BudgetId,
    /// A hash of the parts of the request's key. A breaker whose keys have the same parts can answer for this key
    /// alone.
    pub shape: u64,
    /// The request's key.
    pub key: KeyHash,
    /// The current time.
    pub now: Nanos,
}
