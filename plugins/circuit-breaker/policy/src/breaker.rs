//! One breaker.

use std::hash::Hash;

use serde::Deserialize;

use super::failures::Failures;
use super::machine::{Extent, Machine, Term};
use super::reply::{Details, Fallback};
use super::times::{HalfOpen, Open, Percent, Slow, UpToADay, off};
use super::window::Window;
use portcullis_core::config::{BoundedInteger, Mode, Name};
use portcullis_core::key::{self, KeyPart, Missing, Needs};
use portcullis_core::matcher::Match;
use portcullis_table::{blocks_for, fingerprint};

/// A breaker: which requests, and when to stop sending them.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Breaker {
    pub(super) name: Name,
    /// None: all requests.
    pub(super) condition: Option<Match>,
    pub(super) key: Vec<KeyPart>,
    pub(super) missing: Missing,
    pub(super) failures: Failures,
    pub(super) machine: Machine,
    /// In nanoseconds.
    pub(super) slow_threshold: Option<u64>,
    pub(super) respects_retry_after: bool,
    pub(super) switch: Switch,
    pub(super) fallback: Fallback,
    /// Of replies, for the access log.
    pub(super) details: Details,
    pub(super) mode: Mode,
    probe_wait: u64,
    concurrent_lease: u64,
}

impl Breaker {
    /// What a decision depends on.
    pub(super) fn needs(&self) -> Needs {
        Needs::of(self.condition.as_ref(), &self.key)
    }

    /// Whether requests matter to it.
    pub(super) fn is_active(&self) -> bool {
        self.mode != Mode::Off && self.switch != Switch::Disabled
    }

    /// Whether it keeps the state of circuits.
    pub(super) fn has_circuits(&self) -> bool {
        self.is_active() && self.switch != Switch::ForcedOpen
    }

    /// How many blocks its table has in a plugin of this mode; 0 if it needs none.
    pub(super) fn blocks(&self, mode: Mode, max_keys: u32) -> u32 {
        let is_one_key = self.key.iter().all(KeyPart::is_constant);
        match (self.has_circuits(), is_one_key) {
            _ if mode == Mode::Off => 0,
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => blocks_for(max_keys),
        }
    }

    /// The key parts, as a number: see [`board`](super::board).
    pub(super) fn shape(&self) -> u64 {
        key::shape(&self.key)
    }

    /// A hash of everything that gives a stored state its meaning: equal identities may use each
    /// other's states.
    pub(super) fn identity(&self, blocks: u32) -> u64 {
        let state = (self.machine.extent, self.probe_wait, self.concurrent_lease);
        fingerprint((LAYOUT, &self.name, &self.key, blocks, self.switch, state))
    }
}

/// What a breaker does instead of going by results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Switch {
    /// It goes by results.
    #[default]
    Auto,
    /// It refuses everything.
    ForcedOpen,
    /// It lets everything pass, and records nothing.
    Disabled,
    /// It lets everything pass, and records.
    MetricsOnly,
}

impl Switch {
    /// As in a configuration.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

/// For how long a probe holds a permit that uploads, or whose response has begun well, at most: a second.
const SHORT: u64 = 1_000_000_000;

/// Of the state of a circuit, see `machine/state.rs`: no version reads the states of another.
const LAYOUT: u8 = 2;

/// Up to a million of something.
type Many<const MIN: u32> = BoundedInteger<MIN, 1_000_000>;

/// A breaker: which requests, and when to stop sending them.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// The name of the breaker, in metrics: unique.
    name: Name,
    /// Which requests the breaker is for. Without it: all.
    #[serde(rename = "match")]
    condition: Option<Match>,
    /// What has a circuit of its own. Without it, there is one circuit for all.
    #[serde(default)]
    key: Vec<KeyPart>,
    /// What happens to a request that lacks a part of the key.
    #[serde(default)]
    missing: Missing,
    /// Over which results rates are computed.
    #[serde(default)]
    window: Window,
    /// How many results there have to be before rates count; at most the size of a window by count.
    #[serde(default = "minimum_requests")]
    minimum_requests: Many<1>,
    /// From how many percent of failures on to open. 0: never for that.
    #[serde(default = "off::<100>")]
    failure_rate: Percent,
    /// After how many failures in a row to open. 0: never for that.
    #[serde(default = "off::<1_000_000>")]
    consecutive_failures: Many<0>,
    /// What is slow, and when to open for that.
    slow: Option<Slow>,
    /// What counts as a failure.
    #[serde(default)]
    failures: Failures,
    /// For how long to stay open.
    #[serde(default)]
    open: Open,
    /// How to find out whether to close again.
    #[serde(default)]
    half_open: HalfOpen,
    /// How many requests may be under way at a time. 0: any number.
    #[serde(default = "off::<1_000_000>")]
    max_concurrent: Many<0>,
    /// After what time a request under way is no longer counted: only those that were lost should
    /// last that long.
    #[serde(default = "concurrent_lease")]
    concurrent_lease: UpToADay,
    /// Whether to go by results.
    #[serde(default)]
    state: Switch,
    /// The answer in place of the upstream's.
    #[serde(default)]
    fallback: Fallback,
    /// Whether to enforce the breaker, only to count, or to ignore it. The plugin's own `mode` holds
    /// too: the milder one counts.
    #[serde(default)]
    mode: Mode,
}

fn minimum_requests() -> Many<1> {
    Many::new(20)
}

fn concurrent_lease() -> UpToADay {
    UpToADay::millis(600_000)
}

impl TryFrom<Fields> for Breaker {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let (failure_rate, slow_rate) = (
            fields.failure_rate.get(),
            fields.slow.map_or(0, |slow| slow.rate.get()),
        );
        let consecutive = fields.consecutive_failures.get();
        let max_concurrent = fields.max_concurrent.get();
        let can_refuse = failure_rate > 0 || slow_rate > 0 || consecutive > 0 || max_concurrent > 0;
        if fields.state == Switch::Auto && !can_refuse {
            return Err(
                "found a breaker that never opens; expected at least one of: failure_rate, \
                 consecutive_failures, slow with a rate, max_concurrent"
                    .to_owned(),
            );
        }
        let extent = fields.window.extent();
        let minimum = match extent {
            Extent::Time(_) => fields.minimum_requests.get(),
            Extent::Count(size) => fields.minimum_requests.get().min(size.into()),
        };
        let probe_wait = fields.half_open.max_wait.nanos().get();
        let concurrent_lease = fields.concurrent_lease.nanos().get();
        let machine = Machine {
            extent,
            minimum,
            failure_rate,
            slow_rate,
            consecutive,
            open: fields.open.time,
            permits: fields.half_open.permits.get(),
            probe_term: Term::new(probe_wait),
            short_term: Term::new(probe_wait.min(SHORT)),
            max_concurrent,
            concurrent_term: Term::new(concurrent_lease),
            only_measures: fields.state == Switch::MetricsOnly,
        };
        Ok(Self {
            details: Details::of(&fields.name),
            name: fields.name,
            condition: fields.condition,
            key: fields.key,
            missing: fields.missing,
            failures: fields.failures,
            machine,
            slow_threshold: fields.slow.map(|slow| slow.threshold.nanos().get()),
            respects_retry_after: fields.open.respects_retry_after,
            switch: fields.state,
            fallback: fields.fallback,
            mode: fields.mode,
            probe_wait,
            concurrent_lease,
        })
    }
}
