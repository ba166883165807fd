//! One breaker.

use std::hash::Hash;

use serde::Deserialize;

use super::failures::Failures;
use super::fallback::Fallback;
use super::machine::{Machine, Term};
use super::reply::Details;
use super::times::{HalfOpen, Open, Percent, Slow, UpToADay, off};
use super::window_size::WindowSize;
use portcullis_core::config::{BoundedInteger, Mode, Name};
use portcullis_core::key::{self, KeyPart, Missing, Needs};
use portcullis_core::matcher::Match;
use portcullis_core::time::Nanos;
use portcullis_table::{blocks_for, fingerprint};

/// A breaker: it selects requests, and rejects them while their upstream fails.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Breaker {
    pub(super) name: Name,
    /// `None`: all requests.
    pub(super) condition: Option<Match>,
    pub(super) key: Vec<KeyPart>,
    pub(super) missing: Missing,
    pub(super) failures: Failures,
    pub(super) machine: Machine,
    pub(super) slow_threshold: Option<Nanos>,
    pub(super) respects_retry_after: bool,
    pub(super) state_override: StateOverride,
    pub(super) fallback: Fallback,
    /// The response-code details of its replies.
    pub(super) details: Details,
    pub(super) mode: Mode,
    probe_wait: Nanos,
    concurrent_lease: Nanos,
}

impl Breaker {
    /// The parts of a request that a decision depends on.
    pub(super) fn needs(&self) -> Needs {
        Needs::of(self.condition.as_ref(), &self.key)
    }

    /// Whether the breaker looks at requests.
    pub(super) fn is_active(&self) -> bool {
        self.mode != Mode::Off && self.state_override != StateOverride::Disabled
    }

    /// Whether the breaker keeps state.
    pub(super) fn has_circuits(&self) -> bool {
        self.is_active() && self.state_override != StateOverride::ForcedOpen
    }

    /// The number of blocks of its table if the plugin has this mode; 0 if it needs no table.
    pub(super) fn blocks(&self, mode: Mode, max_keys: u32) -> u32 {
        let is_one_key = self.key.iter().all(KeyPart::is_constant);
        match (self.has_circuits(), is_one_key) {
            _ if mode == Mode::Off => 0,
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => blocks_for(max_keys),
        }
    }

    /// A hash of the parts of the key.
    pub(super) fn shape(&self) -> u64 {
        key::shape(&self.key)
    }

    /// A hash of everything that gives a stored state its meaning. Tables with equal identities can exchange states.
    pub(super) fn identity(&self, blocks: u32) -> u64 {
        let state = (
            self.machine.window_size,
            self.probe_wait,
            self.concurrent_lease,
        );
        fingerprint((
            LAYOUT,
            &self.name,
            &self.key,
            blocks,
            self.state_override,
            state,
        ))
    }
}

/// An override of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum StateOverride {
    /// No override: results decide.
    #[default]
    Auto,
    /// Reject every request.
    ForcedOpen,
    /// Let every request pass and record nothing.
    Disabled,
    /// Let every request pass, record results, and report exceeded triggers.
    MetricsOnly,
}

impl StateOverride {
    /// The override as the configuration names it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }
}

/// The longest term of a probe that uploads, or whose response has begun well.
const SHORT: Nanos = Nanos::SECOND;

/// The version of the layout of states, see `machine/state.rs`. No version reads the states of another.
const LAYOUT: u8 = 2;

/// A number up to a million.
type UpToAMillion<const MIN: u32> = BoundedInteger<MIN, 1_000_000>;

/// A breaker: it selects requests, and rejects them while their upstream fails.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Name of the breaker, unique; used in metrics.
    name: Name,
    /// Requests that this breaker applies to. Default: all.
    #[serde(rename = "match")]
    condition: Option<Match>,
    /// Values that have a circuit of their own. Empty: one circuit for all requests.
    #[serde(default)]
    key: Vec<KeyPart>,
    /// Treatment of requests that lack a part of the key.
    #[serde(default)]
    missing: Missing,
    /// Window of results over which rates are computed.
    #[serde(default)]
    window: WindowSize,
    /// Number of results before rates count; at most the size of a window by count.
    #[serde(default = "minimum_requests")]
    minimum_requests: UpToAMillion<1>,
    /// Failure percentage that opens the circuit; 0 disables this trigger.
    #[serde(default = "off::<100>")]
    failure_rate: Percent,
    /// Number of failures in a row that opens the circuit, regardless of `minimum_requests`; 0 disables this
    /// trigger.
    #[serde(default = "off::<1_000_000>")]
    consecutive_failures: UpToAMillion<0>,
    /// Slow responses, and how many of them open the circuit.
    slow: Option<Slow>,
    /// Results that count as failures, and results that do not count.
    #[serde(default)]
    failures: Failures,
    /// How long the circuit stays open.
    #[serde(default)]
    open: Open,
    /// How a half-open circuit finds out whether to close.
    #[serde(default)]
    half_open: HalfOpen,
    /// Number of requests that may be in flight at a time, for each key; 0 means no limit.
    #[serde(default = "off::<1_000_000>")]
    max_concurrent: UpToAMillion<0>,
    /// Time after which `max_concurrent` no longer counts a request in flight, because it may have been lost: `1ms` to
    /// `24h`. Choose it longer than any request lasts.
    #[serde(default = "concurrent_lease")]
    concurrent_lease: UpToADay,
    /// Override of the state.
    #[serde(default)]
    state: StateOverride,
    /// Response to clients while the circuit is not closed.
    #[serde(default)]
    fallback: Fallback,
    /// Enforce the breaker, only count and mark, or ignore it. The milder of this mode and the plugin's `mode`
    /// applies.
    #[serde(default)]
    mode: Mode,
}

fn minimum_requests() -> UpToAMillion<1> {
    UpToAMillion::new(20)
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
        if fields.state == StateOverride::Auto && !can_refuse {
            return Err(
                "found a breaker that never rejects a request; expected at least one of: failure_rate, \
                 consecutive_failures, slow with a rate, max_concurrent"
                    .to_owned(),
            );
        }
        let window_size = fields.window;
        let minimum = match window_size {
            WindowSize::Time(_) => fields.minimum_requests.get(),
            WindowSize::Count(size) => fields.minimum_requests.get().min(size.into()),
        };
        let probe_wait = fields.half_open.max_wait.nanos();
        let concurrent_lease = fields.concurrent_lease.nanos();
        let machine = Machine {
            window_size,
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
            is_metrics_only: fields.state == StateOverride::MetricsOnly,
        };
        Ok(Self {
            details: Details::of(&fields.name),
            name: fields.name,
            condition: fields.condition,
            key: fields.key,
            missing: fields.missing,
            failures: fields.failures,
            machine,
            slow_threshold: fields.slow.map(|slow| slow.threshold.nanos()),
            respects_retry_after: fields.open.respects_retry_after,
            state_override: fields.state,
            fallback: fields.fallback,
            mode: fields.mode,
            probe_wait,
            concurrent_lease,
        })
    }
}
