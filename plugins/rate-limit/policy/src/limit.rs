//! One limit.

use std::hash::Hash;

use serde::Deserialize;

use super::algorithm::{FixedWindow, Gcra, SlidingWindow};
use super::cost::{ChargeResponse, Cost};
use super::limiter::Limiter;
use super::rate::{Amount, Rate};
use portcullis_core::config::{Mode, Name, at_member};
use portcullis_core::key::{KeyPart, Missing, Needs};
use portcullis_core::matcher::Match;
use portcullis_table::{MemoryUse, blocks_for, fingerprint};

/// A limit: how often something may be asked for.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "LimitFields")
)]
#[serde(try_from = "LimitFields")]
pub(super) struct Limit {
    pub(super) name: Name,
    /// None: all requests.
    pub(super) condition: Option<Match>,
    pub(super) key: Vec<KeyPart>,
    pub(super) missing: Missing,
    pub(super) rate: Rate,
    /// The burst, where it is not that of the rate.
    pub(super) burst: Option<u32>,
    /// None: everything is denied, because the rate is 0.
    pub(super) limiter: Option<Limiter>,
    algorithm: AlgorithmName,
    pub(super) cost: Cost,
    pub(super) charge_response: Option<ChargeResponse>,
    pub(super) mode: Mode,
}

impl Limit {
    /// What a decision depends on.
    pub(super) fn needs(&self) -> Needs {
        let of_cost = Needs {
            headers: self.cost.needs_headers(),
            ..Needs::default()
        };
        Needs::of(self.condition.as_ref(), &self.key).and(of_cost)
    }

    /// How many blocks its table has; 0 if it needs none.
    pub(super) fn blocks(&self, max_keys: u32) -> u32 {
        let is_idle = self.mode == Mode::Off || self.limiter.is_none();
        let is_one_key = self.key.iter().all(KeyPart::is_constant);
        match (is_idle, is_one_key) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => blocks_for(max_keys),
        }
    }

    /// What that table takes at most.
    pub(super) fn memory(&self, max_keys: u32) -> MemoryUse {
        let blocks = self.blocks(max_keys);
        let limiter = self.limiter.as_ref();
        limiter.map_or_else(MemoryUse::default, |limiter| limiter.memory(blocks))
    }

    /// A hash of everything that gives a stored state its meaning: equal identities may use each
    /// other's states. What decides about single requests only is left out (`match`, `cost`,
    /// `missing`, `mode`, also `burst`: the state of GCRA does not depend on it).
    pub(super) fn identity(&self, blocks: u32) -> u64 {
        fingerprint((&self.name, self.algorithm, self.rate, &self.key, blocks))
    }
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum AlgorithmName {
    /// Like a token bucket: `burst` at once, and then evenly.
    #[default]
    Gcra,
    /// So many in any time, estimated from two windows.
    SlidingWindow,
    /// So many in each window of the clock.
    FixedWindow,
}

/// A limit: how often something may be asked for.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct LimitFields {
    /// The name of the limit, in metrics, response headers and replies: unique.
    name: Name,
    /// Which requests the limit is for. Without it: all.
    #[serde(rename = "match")]
    condition: Option<Match>,
    /// What is counted apart. Without it, everything is counted together.
    #[serde(default)]
    key: Vec<KeyPart>,
    /// How many requests are admitted in what time.
    rate: Rate,
    /// How many requests may come at once, at least 1; only with `gcra`. Default: those of the rate.
    burst: Option<Amount>,
    /// How to count.
    #[serde(default)]
    algorithm: AlgorithmName,
    /// What one request counts.
    #[serde(default)]
    cost: Cost,
    /// The response says what the request did cost.
    charge_response: Option<ChargeResponse>,
    /// What happens to a request that lacks a part of the key.
    #[serde(default)]
    missing: Missing,
    /// Whether to enforce the limit, only to count, or to ignore it. The plugin's own `mode` holds
    /// too: the milder one counts.
    #[serde(default)]
    mode: Mode,
}

impl LimitFields {
    fn limiter(&self) -> Result<Option<Limiter>, String> {
        let Self { rate, burst, .. } = self;
        let (requests, per) = (rate.requests.get(), rate.per());
        let gcra = self.algorithm == AlgorithmName::Gcra;
        match burst.map(Amount::get) {
            Some(_) if !gcra => {
                let message = "found a burst; only the algorithm \"gcra\" has one";
                return Err(at_member("burst", message));
            }
            Some(burst) if requests == 0 => {
                let message =
                    format!("found {burst} with \"requests\": 0, which denies everything");
                return Err(at_member("burst", message));
            }
            Some(0) => {
                let message =
                    "found 0; expected at least 1 (to deny everything, set \"requests\" to 0)";
                return Err(at_member("burst", message));
            }
            _ => {}
        }
        if requests == 0 {
            return Ok(None);
        }
        Ok(Some(match self.algorithm {
            AlgorithmName::Gcra => {
                let burst = burst.unwrap_or(rate.requests);
                let gcra = Gcra::new(requests, per, burst.get()).ok_or_else(|| {
                    let message = format!(
                        "found {burst} at {rate}; expected a burst that is paid for in ten years"
                    );
                    at_member("burst", message)
                })?;
                Limiter::Gcra(gcra)
            }
            AlgorithmName::SlidingWindow => {
                Limiter::SlidingWindow(SlidingWindow::new(requests, per))
            }
            AlgorithmName::FixedWindow => Limiter::FixedWindow(FixedWindow::new(requests, per)),
        }))
    }
}

impl TryFrom<LimitFields> for Limit {
    type Error = String;

    fn try_from(fields: LimitFields) -> Result<Self, String> {
        let limiter = fields.limiter()?;
        let usual = fields.cost.default_amount();
        let capacity = limiter.as_ref().map(Limiter::capacity);
        if let Some(capacity) = capacity.filter(|capacity| usual.get() > *capacity) {
            let message = format!(
                "found {usual}; expected at most {capacity}, which is all that is ever admitted at once"
            );
            return Err(at_member("cost", message));
        }
        Ok(Self {
            name: fields.name,
            condition: fields.condition,
            key: fields.key,
            missing: fields.missing,
            rate: fields.rate,
            burst: fields
                .burst
                .filter(|burst| *burst != fields.rate.requests)
                .map(Amount::get),
            limiter,
            algorithm: fields.algorithm,
            cost: fields.cost,
            charge_response: fields.charge_response,
            mode: fields.mode,
        })
    }
}
