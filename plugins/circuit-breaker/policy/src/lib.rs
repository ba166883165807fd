//! Keeps requests away from upstreams that cannot answer them, with the rules of resilience4j.
//!
//! Each breaker has a **circuit** for each key (see [`key`](portcullis_core::key)): a cluster, a route, a tenant. All
//! workers share the state of a circuit in a [table](portcullis_table), and each step is one atomic change of it, so
//! this description holds for all workers together.
//!
//! # Time
//!
//! All times are on the **steady** clock, which nobody can set (see [`time`](portcullis_core::time)). A worker reads
//! the clock before it changes a state, so `now` may be slightly earlier than the last change of the state. Nothing is
//! undone in that case.
//!
//! # States
//!
//! ```text
//!                 rate, slow, consecutive
//!        ┌────────────────────────────────────────┐
//!        │                                        ▼
//!    ┌────────┐        probes did well      ┌───────────┐
//!    │ CLOSED │ ◄─────────────┐             │   OPEN    │
//!    └────────┘               │             └───────────┘
//!                       ┌───────────┐  time is over │ ▲
//!                       │ HALF_OPEN │ ◄─────────────┘ │
//!                       └───────────┘ ────────────────┘
//!                                      probes did badly
//! ```
//!
//! - **CLOSED** admits all requests. Results go into the window (`machine/window.rs`). After each result, success or
//!   failure, the circuit opens if
//!   - `consecutive`: the last `consecutive_failures` answers were failures; this needs no minimum; or
//!   - `rate`: there are `minimum_requests` results (at most the size of a window by count), and
//!     failed × 100 ≥ `failure_rate` × results; or
//!   - `slow`: the same with `slow.rate`. A response is slow if its headers took longer than `slow.threshold`, counted
//!     from when the request was complete. A slow failure counts as both.
//! - **OPEN** rejects all requests for `open.base` × `open.factor`ⁿ, at most `open.max`, where *n* is the number of
//!   times it opened since it was last closed, without this one; then ± `open.jitter` percent, evenly distributed, so
//!   that many proxies do not probe at the same time. With `open.respect_retry_after`, it stays open at least as long
//!   as `Retry-After` of any failure since the last transition asked for (at most `open.max`).
//!   The first request after that time makes the circuit half-open. Until one arrives, the circuit is still called
//!   open, with no time left.
//! - **HALF_OPEN** admits `half_open.permits` requests in total, the probes, and rejects the others. After
//!   min(`minimum_requests`, `permits`) results it opens or closes by the same rates as above.
//!   With `consecutive_failures` it opens as soon as that many probes in a row have failed, or all probes that decide,
//!   if these are fewer.
//!
//! Each transition begins a **generation**. A request carries the generation of its admission. If the circuit has had
//! a transition since then, the result is late, and is ignored. Each generation starts with an empty window, no
//! failures in a row, and no results of probes.
//!
//! # Results
//!
//! An outcome has an author, and only the upstream's own actions say anything about the upstream: `endings.rs` is the
//! table of authors, `verdict.rs` derives the verdict when the stream has ended. **Neutral** requests return their
//! permits and do not count. The same holds for requests that the client **abandoned** before there was a response, or
//! whose deadline it chose or used up; but with a `slow.rate`, such a request that had waited longer than the
//! threshold is a slow result, neither success nor failure. Rejected requests were never sent, and never count.
//!
//! A `match` that fits a request only in some readings ([`Fit::Possible`](portcullis_core::readings::Fit):
//! `/x/..;/payments`) can only restrict the request: an open or half-open circuit rejects it, and it counts among the
//! requests under way, but it is never a probe, and its result is neutral, because another service may have answered.
//! An ambiguous part of the key has a circuit of its own, so these requests count there.
//!
//! A client alone can open no circuit: a deadline that it may have chosen, an upload that it may have stalled, and a
//! tunnel that it may have closed are not held against the upstream.
//!
//! Time counts from when the request is complete ([`on_request_complete`](CircuitBreaker::on_request_complete)).
//! Before that, the upstream owes no answer, and nothing is slow.
//!
//! A request that Envoy retries or hedges is one request with one result, the last one. An internal redirect is a
//! success, and the request that follows it has a result of its own. Mirrored requests pass no filters.
//!
//! # Permits are leases
//!
//! A probe that disappears (its worker crashed, its stream was lost) would block the circuit forever. So its permit is
//! a lease: after `half_open.max_wait`, at the latest after 5/4 of that time, it expires on its own
//! (`machine/leases.rs`), and another request can be a probe in its place. If the probe ends after all, in the same
//! generation, its result counts, because it is true, and because otherwise a circuit whose probes all take longer
//! than `max_wait` would stay half-open forever. No permit returns twice. So
//! - a probe passes only if, with it, at most `permits` probes of the generation are out (and not expired) or have a
//!   result;
//! - the min(`minimum_requests`, `permits`)th result decides, whichever probes it comes from, so there are never more
//!   results; probes that are still out are late then;
//! - more than `permits` requests of one generation can reach the upstream only if leases expire or uploads are under
//!   way.
//!
//! A response that begins well counts at once as the result of its probe, a gRPC response after a second at the latest.
//! A probe with an incomplete request takes no permit from complete requests, and holds its own for a second
//! (`machine/probes.rs`).
//!
//! `max_concurrent` is a **bulkhead** for each key: the number of requests that may be under way at a time, in any
//! state, counted in the same way, with leases of `concurrent_lease`. A request that lasts longer (a WebSocket) is no
//! longer counted. Transitions do not change this count.
//!
//! # Several breakers
//!
//! The policy asks all enforcing breakers that match, in the order of the configuration, until one rejects. Then the
//! breakers before it take their permits back, and the request is neutral there.
//!
//! # Overrides
//!
//! `state: forced_open` rejects every request that matches; `disabled` does nothing; `metrics_only` admits every
//! request, records it, and reports when a trigger becomes exceeded.
//!
//! # Shadow
//!
//! - A breaker in shadow mode sees the requests that the enforcing breakers admit. Its circuits go through their states
//!   as if it were enforced: a request that it would reject goes on with a mark, and its result is ignored; the results
//!   of requests that it would admit count, probes included.
//! - With the whole plugin in shadow mode, every decision is made as if it were enforced, but each request goes on.
//!
//! # When the table fails
//!
//! A [`Store`](portcullis_table::Store) gives up if other workers interfere too often. If that happens to an admission,
//! `on_error` determines whether the request passes unseen or is rejected with 503. If it happens to a result, the
//! result is lost, and the permits of the request expire on their own.
//!
//! The same holds for a request for which the proxy does not provide what a breaker needs. A stream for which it does
//! not provide how it ended is neutral, and a breaker that does not learn how streams end can never open: for the next
//! ten seconds, `on_error` decides about each request.
//!
//! # Memory
//!
//! In a full block of the table, the key with the lowest eviction cost makes room: closed circuits first, those with
//! the fewest results before others, then half-open ones, then open ones. The new key starts closed.
//!
//! A table is identified by a hash of the breaker's name, key, window, `max_wait`, `concurrent_lease`, `state` and the
//! number of blocks ([`TableMetadata::identity`]). If a new configuration does not change these, circuits keep their
//! state; otherwise they start closed. Rates and times can be changed at any time.
//!
//! Beside the table, each breaker has a [`snapshot`] of its circuits, for the status view, the gauges and other
//! plugins.

mod admission;
mod breaker;
mod circuit;
mod config;
mod deadlines;
mod endings;
mod failures;
mod fallback;
mod flags;
mod grpc;
mod machine;
mod policy;
mod recording;
mod reply;
mod response;
pub mod snapshot;
mod status;
#[cfg(test)]
mod tests;
mod times;
mod verdict;
mod window_size;

use std::fmt;

use bytes::Bytes;

pub use admission::{Admission, Arrival, Check, Decision, Reason};
pub use circuit::Effects;
pub use config::Config;
pub use endings::Author;
pub use machine::{Cause, CircuitEvents, Transition};
pub use recording::Recorded;
pub use verdict::{Finding, Stream, Verdict};

use breaker::{Breaker, StateOverride};
use config::StatusPath;
pub use portcullis_core::breaker_snapshot::Phase;
use portcullis_core::breaker_snapshot::TableMetadata;
use portcullis_core::config::{HasTables as _, Mode, Name, OnError};
pub use portcullis_core::headers::SHADOW_HEADER;
use portcullis_core::key::Needs;
use portcullis_table::MemoryUse;

/// The policy, compiled.
///
/// The caller calls, for each exchange: [`on_request`](Self::on_request); then [`reply`](Self::reply) if the request is
/// rejected, otherwise [`on_request_complete`](Self::on_request_complete), [`on_response`](Self::on_response),
/// [`on_early_success`](Self::on_early_success), [`on_trailers`](Self::on_trailers), and [`on_log`](Self::on_log) at
/// the end. The `needs_…` methods say which of these calls it can omit.
#[derive(Debug)]
pub struct CircuitBreaker {
    name: Name,
    mode: Mode,
    on_error: OnError,
    /// The most memory that all tables take.
    memory: MemoryUse,
    status_path: Option<StatusPath>,
    breakers: Vec<Compiled>,
    needs: Needs,
}

#[derive(Debug)]
struct Compiled {
    breaker: Breaker,
    /// The number of blocks of its table; 0 if it needs no table.
    blocks: u32,
    /// A hash of the parts of the key, for the [snapshot](portcullis_core::breaker_snapshot).
    shape: u64,
}

/// A breaker, by its position in the configuration. Its [`index`](Self::index) is also the number of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerId(usize);

impl BreakerId {
    /// The position in [`CircuitBreaker::breakers`].
    pub fn index(self) -> usize {
        self.0
    }
}

impl CircuitBreaker {
    /// Compiles a configuration.
    pub fn new(config: Config) -> Self {
        let max_keys = config.max_keys.get();
        let compile = |breaker: Breaker| Compiled {
            blocks: breaker.blocks(config.mode, max_keys),
            shape: breaker.shape(),
            breaker,
        };
        let memory = config.total_memory();
        let mut policy = Self {
            name: config.name,
            mode: config.mode,
            on_error: config.on_error,
            memory,
            status_path: config.status_path,
            breakers: config.breakers.into_iter().map(compile).collect(),
            needs: Needs::default(),
        };
        let needs = policy.active().map(Breaker::needs);
        // A decision to replace a response needs the deadlines of the client, and cannot wait until the stream ends.
        let falls_back = policy.active().any(|breaker| breaker.fallback.on_failure);
        let others = Needs {
            headers: policy.has_status() || falls_back,
            ..Needs::default()
        };
        policy.needs = needs.fold(others, Needs::and);
        policy
    }

    /// The names of all breakers; [`BreakerId::index`] is the position.
    pub fn breakers(&self) -> impl Iterator<Item = &Name> {
        self.breakers.iter().map(|compiled| &compiled.breaker.name)
    }

    /// The metadata of the tables of all breakers, in the same order. Within one plugin instance, tables with the same
    /// identity are one table.
    pub fn tables(&self) -> impl Iterator<Item = TableMetadata> {
        self.breakers.iter().map(
            |Compiled {
                 breaker,
                 blocks,
                 shape,
             }| TableMetadata {
                identity: breaker.identity(*blocks),
                shape: *shape,
                blocks: *blocks,
                is_forced_open: self.mode == Mode::Enforce
                    && breaker.mode == Mode::Enforce
                    && breaker.state_override == StateOverride::ForcedOpen,
            },
        )
    }

    /// Whether the policy looks at requests.
    pub fn needs_request(&self) -> bool {
        self.has_status() || self.active().next().is_some()
    }

    /// The parts of a request that decisions depend on. The subject may lack headers that are not among them.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether there is a status view.
    pub fn has_status(&self) -> bool {
        self.status_path.is_some() && self.mode != Mode::Off
    }

    /// The values of [`SHADOW_HEADER`] for the request, one for each breaker that would reject it.
    pub fn shadow_marks(&self, admission: &Admission) -> impl Iterator<Item = Bytes> {
        let checks = admission.checks.iter();
        let rejected = checks.filter(|check| matches!(check.decision, Decision::ShadowDenied(_)));
        let breakers = rejected.filter_map(|check| self.get(check.breaker));
        breakers.map(|compiled| format!("circuit_breaker;{}", compiled.breaker.name).into())
    }

    fn get(&self, breaker: BreakerId) -> Option<&Compiled> {
        self.breakers.get(breaker.0)
    }

    /// The breakers with this mode that are not disabled; none if the plugin is off.
    fn breakers_in(&self, mode: Mode) -> impl Iterator<Item = BreakerId> {
        let breakers = match self.mode {
            Mode::Enforce | Mode::Shadow => &self.breakers[..],
            Mode::Off => &[],
        };
        let breakers = breakers.iter().enumerate();
        breakers
            .filter(move |(_, Compiled { breaker, .. })| {
                breaker.mode == mode && breaker.is_active()
            })
            .map(|(i, _)| BreakerId(i))
    }

    /// The breakers that are not off.
    fn active(&self) -> impl Iterator<Item = &Breaker> {
        let active = self
            .breakers_in(Mode::Enforce)
            .chain(self.breakers_in(Mode::Shadow));
        active
            .filter_map(|id| self.get(id))
            .map(|compiled| &compiled.breaker)
    }
}

/// `mode enforce, up to 3 MiB for keys, breakers: payments, tenants (shadow), legacy (forced_open)`.
impl fmt::Display for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mode {}, up to {} for keys, breakers:",
            self.mode, self.memory
        )?;
        for (i, Compiled { breaker, .. }) in self.breakers.iter().enumerate() {
            let separator = if i > 0 { "," } else { "" };
            write!(f, "{separator} {}", breaker.name)?;
            if breaker.mode != Mode::Enforce {
                write!(f, " ({})", breaker.mode)?;
            }
            if breaker.state_override != StateOverride::Auto {
                write!(f, " ({})", breaker.state_override.label())?;
            }
        }
        Ok(())
    }
}
