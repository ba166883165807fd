//! One limit.

use std::borrow::Cow;
use std::hash::Hash;

use serde::Deserialize;

use super::algorithm::{FixedWindow, Gcra, SlidingWindow};
use super::charge::ChargeResponse;
use super::cost::Cost;
use super::fleet::config::{Fleet, Service};
use super::fleet::lease::Lease;
use super::limiter::Limiter;
use super::rate::{Amount, Rate};
use portcullis_core::config::{Mode, Name, at_member};
use portcullis_core::key::{KeyPart, Missing, Needs};
use portcullis_core::matcher::Match;
use portcullis_table::{MemoryUse, blocks_for, fingerprint};

/// A limit on how often something may be requested.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "LimitFields")
)]
#[serde(try_from = "LimitFields")]
pub(super) struct Limit {
    pub(super) name: Name,
    /// `None` for all requests.
    pub(super) condition: Option<Match>,
    pub(super) key: Vec<KeyPart>,
    pub(super) missing: Missing,
    pub(super) rate: Rate,
    /// The burst, if it differs from the requests of the rate.
    pub(super) burst: Option<u32>,
    /// The limiter for the largest number of requests; `None` if that is 0, which denies everything.
    largest: Option<Limiter>,
    algorithm: AlgorithmName,
    pub(super) cost: Cost,
    pub(super) charge_response: Option<ChargeResponse>,
    pub(super) mode: Mode,
    pub(super) fleet: Option<Fleet>,
}

impl Limit {
    /// The parts of a request that a decision depends on.
    pub(super) fn needs(&self) -> Needs {
        let of_cost = Needs {
            headers: self.cost.needs_headers(),
            ..Needs::default()
        };
        let of_rule = Needs::of(self.condition.as_ref(), &self.key);
        of_rule.and(of_cost).and(self.rate.requests.needs())
    }

    /// The limiter for a number of requests that the rate has; `None` if it is 0, which denies the request.
    pub(super) fn limiter(&self, requests: u32) -> Option<Cow<'_, Limiter>> {
        let largest = self.largest.as_ref()?;
        match (self.rate.requests.is_fixed(), requests) {
            (true, _) => Some(Cow::Borrowed(largest)),
            (false, 0) => None,
            (false, _) => largest
                .with_requests(requests, self.rate.per())
                .map(Cow::Owned),
        }
    }

    /// The number of blocks of its table; 0 if it needs none.
    pub(super) fn blocks(&self, max_keys: u32) -> u32 {
        let counts = self.fleet.as_ref().is_none_or(Fleet::counts_locally);
        match self.mode == Mode::Off || self.largest.is_none() || !counts {
            true => 0,
            false => self.blocks_of_keys(max_keys),
        }
    }

    /// The number of blocks of the table of its leases; 0 if it has none.
    pub(super) fn lease_blocks(&self, max_keys: u32) -> u32 {
        let has_leases = self.fleet.as_ref().is_some_and(Fleet::has_leases);
        match has_leases && self.mode != Mode::Off {
            true => self.blocks_of_keys(max_keys),
            false => 0,
        }
    }

    fn blocks_of_keys(&self, max_keys: u32) -> u32 {
        match self.key.iter().all(KeyPart::is_constant) {
            true => 1,
            false => blocks_for(max_keys),
        }
    }

    /// The memory of that table when full.
    pub(super) fn memory(&self, max_keys: u32) -> MemoryUse {
        let blocks = self.blocks(max_keys);
        let limiter = self.largest.as_ref();
        limiter.map_or_else(MemoryUse::default, |limiter| limiter.memory(blocks))
    }

    /// The memory of the table of its leases when full.
    pub(super) fn lease_memory(&self, max_keys: u32) -> MemoryUse {
        match self.lease_blocks(max_keys) {
            0 => MemoryUse::default(),
            blocks => MemoryUse::of_table::<Lease>(blocks),
        }
    }

    /// A hash of everything that gives a stored state its meaning: limits with the same identity can use each
    /// other's states. It leaves out the fields that only concern single requests (`match`, `cost`, `missing`,
    /// `mode`), and `burst`, which the state of GCRA does not depend on.
    pub(super) fn identity(&self, blocks: u32) -> u64 {
        let rate = self.rate.identity();
        fingerprint((&self.name, self.algorithm, rate, &self.key, blocks))
    }

    /// The same for its leases: the counter of the service that the tokens come from.
    pub(super) fn lease_identity(&self, service: Option<&Service>, blocks: u32) -> u64 {
        let descriptor = self.fleet.as_ref().map(Fleet::descriptor);
        let service = service.map(|service| service.identity());
        let counter = (service, descriptor);
        let rate = self.rate.identity();
        fingerprint(("leases", &self.name, counter, rate, &self.key, blocks))
    }
}

/// Algorithm of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum AlgorithmName {
    /// Generic cell rate algorithm, equivalent to a token bucket: `burst` at once, then evenly at the rate.
    #[default]
    Gcra,
    /// Sliding window, interpolated from the current and the previous window.
    SlidingWindow,
    /// A count for each window of the clock: a `per` of `1h` ends on the hour, `24h` at midnight UTC.
    FixedWindow,
}

/// A limit on how often something may be requested.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct LimitFields {
    /// Unique name of the limit, used in metrics, response headers and replies.
    name: Name,
    /// Requests that the limit applies to. Default: all.
    #[serde(rename = "match")]
    condition: Option<Match>,
    /// Values that are counted separately: requests with the same combination share a count. Default: one count
    /// for all requests.
    #[serde(default)]
    key: Vec<KeyPart>,
    /// Number of requests per period.
    rate: Rate,
    /// Number of requests that may arrive at once, at least 1; only with `gcra` and a constant rate. Default: the
    /// `requests` of the rate.
    burst: Option<Amount>,
    /// Algorithm. Default: `gcra`.
    #[serde(default)]
    algorithm: AlgorithmName,
    /// Units that one request consumes. Default: 1.
    #[serde(default)]
    cost: Cost,
    /// Actual cost of the request, as its response shows it. Default: the reserved cost.
    charge_response: Option<ChargeResponse>,
    /// Treatment of requests that lack a part of the key. Default: `share`.
    #[serde(default)]
    missing: Missing,
    /// Mode of this limit. The milder of this and the top-level `mode` applies. Default: `enforce`.
    #[serde(default)]
    mode: Mode,
    /// Counts the limit for several proxies together, by a rate-limit service. Default: each proxy counts on its own.
    fleet: Option<Fleet>,
}

impl LimitFields {
    fn check_fleet(&self) -> Result<(), String> {
        let Some(fleet) = &self.fleet else {
            return Ok(());
        };
        let Rate { requests, .. } = &self.rate;
        if !requests.is_fixed() {
            return Err(
                "found \"requests\" that come from the request; expected a constant, because the service has the \
                 limit"
                    .to_owned(),
            );
        }
        if self.charge_response.is_some() && !fleet.has_leases() {
            return Err(
                "found the mode \"each\" with \"charge_response\"; expected \"lease\", because a service cannot \
                 return what it has counted"
                    .to_owned(),
            );
        }
        fleet.check(&self.key, requests.most().get(), self.rate.per())
    }

    fn limiter(&self) -> Result<Option<Limiter>, String> {
        let Self { rate, burst, .. } = self;
        let most = rate.requests.most();
        let (requests, per) = (most.get(), rate.per());
        let gcra = self.algorithm == AlgorithmName::Gcra;
        match burst.map(Amount::get) {
            Some(burst) if !rate.requests.is_fixed() => {
                let message = format!(
                    "found {burst}; only a constant number of \"requests\" has a burst of its own"
                );
                return Err(at_member("burst", message));
            }
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
                let burst = burst.unwrap_or(most);
                let gcra = Gcra::new(requests, per, burst.get()).ok_or_else(|| {
                    let message = format!(
                        "found {burst} at {rate}; expected a burst that recovers within ten years"
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
        fields
            .check_fleet()
            .map_err(|message| at_member("fleet", message))?;
        let default = fields.cost.default_amount();
        let capacity = limiter.as_ref().map(Limiter::capacity);
        if let Some(capacity) = capacity.filter(|capacity| default.get() > *capacity) {
            let message = format!(
                "found {default}; expected at most {capacity}, the most that is ever admitted at once"
            );
            return Err(at_member("cost", message));
        }
        Ok(Self {
            name: fields.name,
            condition: fields.condition,
            key: fields.key,
            missing: fields.missing,
            burst: fields
                .burst
                .filter(|burst| *burst != fields.rate.requests.most())
                .map(Amount::get),
            rate: fields.rate,
            largest: limiter,
            algorithm: fields.algorithm,
            cost: fields.cost,
            charge_response: fields.charge_response,
            mode: fields.mode,
            fleet: fields.fleet,
        })
    }
}
