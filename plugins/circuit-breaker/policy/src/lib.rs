//! Requests are kept away from what cannot answer them, with the rules of resilience4j, at the proxy.
//!
//! Each breaker has a **circuit** for each key (the parts are described in [`key`](portcullis_core::key)): a cluster,
//! a route, a tenant. Its state is kept in a [table](portcullis_table) that all workers share, and each step
//! is one atomic change of it, so what is said here holds for all workers together.
//!
//! # Time
//!
//! All times are nanoseconds on the **steady** clock that [`rate_limit`](crate::rate_limit) describes.
//! Workers read it before they get hold of a state, so `now` may be a little earlier than that of the
//! state's last change; nothing is undone then.
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
//! - **CLOSED** admits all. Results go into the [window](machine); after each of them, success or
//!   failure, the circuit opens if
//!   - `consecutive`: the last `consecutive_failures` answers were failures; this needs no minimum; or
//!   - `rate`: there are `minimum_requests` results (at most the size of a window by count), and
//!     failed × 100 ≥ `failure_rate` × results; or
//!   - `slow`: the same with `slow.rate`. A response is slow if its headers took longer than
//!     `slow.threshold` from when the request was complete; a slow failure is both.
//! - **OPEN** rejects all, for `open.base` × `open.factor`ⁿ, at most `open.max`, where *n* counts the
//!   times it opened since it was last closed, this one not included; then ± `open.jitter` percent, evenly
//!   spread, so that many proxies do not probe at once. It is never shorter than what `Retry-After` of any
//!   failure since the last transition asked for (at most `open.max`), if that is to be respected.
//!   The first request after that time finds the circuit half-open. Until one comes, it is called
//!   open, with no time left.
//! - **HALF_OPEN** admits `half_open.permits` requests in all, the probes, and rejects the others. After
//!   min(`minimum_requests`, `permits`) results it opens or closes by the same rates as above.
//!   With `consecutive_failures` it opens as soon as that many probes in a row have failed, or all
//!   that are decided by, if these are fewer.
//!
//! Each transition begins a **generation**. A request carries that of its admission, and if the circuit
//! has gone on since, its result is late, and counts nowhere. With each generation the window, the
//! failures in a row and the results of probes begin anew.
//!
//! # Results
//!
//! An outcome has an author, and only the upstream's doing says anything of the upstream: `endings.rs` is the table
//! of authors, `outcome.rs` makes a verdict of it when the stream has ended. **Neutral** requests give back what
//! they took and count nowhere. So do those that the client **abandoned**, or whose deadline it chose or used up,
//! before there was a response; but with a `slow.rate`, one that had waited longer than the threshold is a result,
//! neither success nor failure, and slow. Requests that were rejected were never sent, and never count.
//!
//! A condition that a request fits in some readings only ([`Fit::Possible`](portcullis_core::readings::Fit): `/x/..;/payments`)
//! restricts it and no more: an open or half-open circuit rejects the request, it is counted among those under way,
//! but it is never a probe, and neutral whatever comes of it, because another service may have answered. A part of
//! the key that is ambiguous has a circuit of its own, so these count there.
//!
//! Whatever a client can do alone, it opens no circuit: a deadline that it may have chosen, an upload that it
//! may have stalled, a tunnel that it may have closed are not held against the upstream.
//!
//! Time counts from when the request is complete ([`on_request_complete`](CircuitBreaker::on_request_complete));
//! before that the upstream owes no answer, and nothing is slow.
//!
//! A request that Envoy retries or hedges is one request with one result, the last one. An internal redirect is a
//! success, and what follows it a request of its own. Mirrored requests pass no filters.
//!
//! # Permits are leases
//!
//! A probe that is never heard of again (its worker crashed, its stream was lost) would block the
//! circuit for good. So it is a lease: after `half_open.max_wait`, at the latest 5/4 of that, its permit
//! comes back by itself (`machine/leases.rs`), and another request may be a probe in its place. Should it
//! end after all, in the same generation, its result counts: it is true, and if it did not count, a
//! circuit whose probes all take longer than `max_wait` would stay half-open for good. No permit comes
//! back twice. So
//! - a probe passes only if, with it, at most `permits` probes of the generation are out (and not
//!   expired) or have a result;
//! - the verdict falls with the min(`minimum_requests`, `permits`)th result, whichever probes these are
//!   of, so there are never more; whoever is still out then is late;
//! - only where leases expire, or uploads are under way, can more than `permits` requests of one generation reach what
//!   is protected.
//!
//! A response that begins well decides its probe at once, a gRPC response after a second at the latest; a probe whose
//! request is not complete takes no permit from those that are, and holds its own for a second (`machine/probes.rs`).
//!
//! `max_concurrent` is a **bulkhead** for each key: so many requests may be under way at a time, in any
//! state, counted in and out in the same way, with leases of `concurrent_lease`. A request that lasts
//! longer (a WebSocket) is no longer counted. The count is not touched by transitions.
//!
//! # Several breakers
//!
//! All enforcing breakers that match are asked in the order of the configuration, until one rejects. Then
//! those before it get back what they gave, and the request is neutral there.
//!
//! # Without results
//!
//! `state: forced_open` rejects everything that matches; `disabled` does nothing at all; `metrics_only`
//! admits everything, records it, and says when a trigger is exceeded that was not before.
//!
//! # Shadow
//!
//! - A breaker in shadow mode sees the requests that the enforcing breakers admit. Its circuits go
//!   through their states as they would in earnest: a request that it would have rejected goes on
//!   with a mark, and its result counts nowhere; those that it would have admitted count, probes included.
//! - With the whole plugin in shadow mode everything is decided as it would be in earnest; only then the
//!   request goes on.
//!
//! # When the table fails
//!
//! A [`Store`](portcullis_table::Store) gives up when other workers came between too often. If that happens to
//! an admission, `on_error` says whether the request passes unseen, or is rejected with 503. If it
//! happens to a result, that is lost, and what was taken comes back as a lease does.
//!
//! The same holds for a request of which the proxy does not say what a breaker needs. A stream of which it
//! does not say how it ended is neutral, and a breaker that does not hear how streams end can never open:
//! for the next ten seconds `on_error` decides about each request.
//!
//! # Memory
//!
//! In a full block of the table the key of the least harm makes room: closed ones first, those with the
//! fewest results before others, half-open ones next, open ones last. The newcomer starts closed.
//!
//! A table is identified by a hash of the breaker's name, key, window, `max_wait`, `concurrent_lease`,
//! `state` and the number of blocks ([`Table::identity`]). If a new configuration leaves these as they are,
//! circuits stay as they are, else they start closed. Rates and times can be changed at any time.
//!
//! What is known beside the table, to show it and to tell other plugins, is on the [`board`].

mod admission;
mod breaker;
mod circuit;
mod config;
mod deadlines;
mod endings;
mod failures;
mod flags;
mod grpc;
mod machine;

mod policy;
mod recording;
mod reply;
mod response;
mod retry_after;
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
/// For each exchange: [`on_request`](Self::on_request), then [`reply`](Self::reply) if it rejects, else
/// [`on_request_complete`](Self::on_request_complete), [`on_response`](Self::on_response),
/// [`on_early_success`](Self::on_early_success), [`on_trailers`](Self::on_trailers) and at last [`on_log`](Self::on_log).
/// The `needs_…` methods say which of them the caller can leave out.
#[derive(Debug)]
pub struct CircuitBreaker {
    name: Name,
    mode: Mode,
    on_error: OnError,
    /// Of all tables, at most.
    memory: MemoryUse,
    status_path: Option<StatusPath>,
    breakers: Vec<Compiled>,
    needs: Needs,
}

#[derive(Debug)]
struct Compiled {
    breaker: Breaker,
    /// How many blocks its table has; 0 if it needs none.
    blocks: u32,
}

/// A breaker of the configuration. Its [`index`](Self::index) is also the number of its table.
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
        // Whether a response is replaced is decided before it is too late to know what the client asked for.
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

    /// What the tables of all breakers are, in the same order. Tables of one identity, and of the same
    /// plugin instance, are one table.
    pub fn tables(&self) -> impl Iterator<Item = TableMetadata> {
        self.breakers
            .iter()
            .map(|Compiled { breaker, blocks }| TableMetadata {
                identity: breaker.identity(*blocks),
                shape: breaker.shape(),
                blocks: *blocks,
                is_forced_open: self.mode == Mode::Enforce
                    && breaker.mode == Mode::Enforce
                    && breaker.state_override == StateOverride::ForcedOpen,
            })
    }

    /// Whether requests matter at all.
    pub fn needs_request(&self) -> bool {
        self.has_status() || self.active().next().is_some()
    }

    /// What of a request matters. Headers that do not may be left out of the subject.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether there is a status view.
    pub fn has_status(&self) -> bool {
        self.status_path.is_some() && self.mode != Mode::Off
    }

    /// The values of [`SHADOW_HEADER`] for the request, one for each breaker that would have rejected it.
    pub fn shadow_marks(&self, admission: &Admission) -> impl Iterator<Item = Bytes> {
        let checks = admission.checks.iter();
        let rejected = checks.filter(|check| matches!(check.decision, Decision::ShadowRejected(_)));
        let breakers = rejected.filter_map(|check| self.get(check.breaker));
        breakers.map(|compiled| format!("circuit_breaker;{}", compiled.breaker.name).into())
    }

    fn get(&self, breaker: BreakerId) -> Option<&Compiled> {
        self.breakers.get(breaker.0)
    }

    /// The breakers of a mode that are not disabled; none if the plugin is off.
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
