//! The circuit breaker that a budget respects.

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
    /// The breaker's own name.
    pub breaker: Name,
}

impl TryFrom<String> for BreakerName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Names may have slashes, too. Which of them is meant does not matter: put together again, the
        // names are the same.
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

/// The question whether the breaker of a budget is open.
#[derive(Clone, Copy, Debug)]
pub struct BreakerQuery {
    /// The budget that respects it.
    pub budget: BudgetId,
    /// What the request's key is made of: a breaker whose keys are made of the same can answer for this
    /// key alone.
    pub shape: u64,
    /// The request's key.
    pub key: KeyHash,
    /// The current time.
    pub now: Nanos,
}
