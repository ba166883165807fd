//! The state machine of one circuit.
//!
//! It is pure: [`Machine::admit`] and [`Machine::record`] take a state and the time, and return the new state. The
//! documentation of the [policy](super) describes what they do.

mod codec;
mod leases;
mod probes;
mod state;
mod trip;
mod window;

use crate::window_size::WindowSize;
use leases::Slice;
pub(super) use leases::Term;
use portcullis_core::backoff::Backoff;
use portcullis_core::breaker_snapshot::Phase;
use portcullis_core::time::Nanos;
pub(super) use probes::EarlySuccess;
use probes::{Probe, Stage};
pub use state::Cause;
pub(super) use state::{State, Trip};
pub(super) use window::{Counts, MAX_RESULTS, Sample};

/// The rules of a breaker. A trigger or a limit of 0 is disabled.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) window_size: WindowSize,
    /// The number of results before rates count, at least 1.
    pub(super) minimum: u32,
    /// In percent.
    pub(super) failure_rate: u32,
    /// In percent.
    pub(super) slow_rate: u32,
    pub(super) consecutive: u32,
    /// How long a circuit stays open, by the number of times it opened in a row before.
    pub(super) open: Backoff,
    /// The number of probes that a half-open circuit admits, at least 1.
    pub(super) permits: u32,
    pub(super) probe_term: Term,
    /// The term of probes that upload, or whose responses have begun well.
    pub(super) short_term: Term,
    pub(super) max_concurrent: u32,
    pub(super) concurrent_term: Term,
    /// Whether the circuit never opens.
    pub(super) is_metrics_only: bool,
}

/// A request that asks for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Whether the whole request has arrived.
    pub(super) is_complete: bool,
    /// Whether its result counts. Otherwise it cannot be a probe.
    pub(super) counts: bool,
}

/// What an admitted request holds until its result is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    generation: u64,
    probe: Option<Probe>,
    under_way: Option<(Nanos, Slice)>,
}

impl Ticket {
    /// Whether the request is a probe without a recorded result.
    pub(super) fn is_open_probe(&self) -> bool {
        self.probe.is_some_and(|probe| !probe.stage.is_answered())
    }

    /// Whether the request is a probe that was incomplete when it arrived.
    pub(super) fn is_uploading(&self) -> bool {
        self.probe
            .is_some_and(|probe| probe.stage == Stage::Uploading)
    }
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The circuit is open.
    Open { until: Nanos },
    /// All probes are out.
    HalfOpen,
    /// Too many requests are under way.
    Bulkhead,
}

/// A change of the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The phase that ended.
    pub from: Phase,
    /// The phase that began.
    pub to: Phase,
    /// Why the circuit opened, if it did.
    pub cause: Option<Cause>,
}

/// Side effects of an operation on a circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitEvents {
    /// The phase changed.
    pub transition: Option<Transition>,
    /// How many permits expired.
    pub leases_expired: u32,
    /// The result belongs to an older generation and was ignored.
    pub was_late: bool,
    /// A circuit of a `metrics_only` breaker would have opened for this reason.
    pub exceeded: Option<Cause>,
}

/// How a request ended, as the circuit records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It does not count.
    Neutral,
    /// Nobody waited for the answer any more, but it was slow in coming.
    Abandoned,
    /// There was an answer.
    Answered(Sample),
}

/// The result of a request that was admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) ticket: Ticket,
    pub(super) ended: Ended,
    /// How long a failure asked to wait.
    pub(super) retry_after: Nanos,
    /// Determines the jitter if the circuit opens.
    pub(super) random: u64,
}

impl Machine {
    /// Asks for admission of a request. The new state must be stored, even after a refusal.
    pub(super) fn admit(
        &self,
        mut state: State,
        now: Nanos,
        candidate: Candidate,
    ) -> (State, Result<Ticket, Refusal>, CircuitEvents) {
        let mut events = self.expire(&mut state, now);
        let Candidate {
            is_complete,
            counts,
        } = candidate;
        let is_full = self.max_concurrent > 0 && state.under_way.out() >= self.max_concurrent;
        let refusal = match state.phase {
            _ if self.is_metrics_only => None,
            Phase::Open if now < state.open_until || !counts => Some(Refusal::Open {
                until: state.open_until,
            }),
            Phase::HalfOpen if !counts || self.probes_left(&state, is_complete) == 0 => {
                Some(Refusal::HalfOpen)
            }
            _ if is_full => Some(Refusal::Bulkhead),
            Phase::Closed | Phase::HalfOpen | Phase::Open => None,
        };
        if let Some(refusal) = refusal {
            return (state, Err(refusal), events);
        }
        if state.phase == Phase::Open && !self.is_metrics_only {
            events.transition = Some(enter(&mut state, Phase::HalfOpen, now, None));
            self.expire_probes(&mut state, now);
        }
        let under_way = (self.max_concurrent > 0).then(|| {
            if state.counting_since == Nanos::ZERO {
                state.counting_since = now.max(Nanos::new(1));
            }
            (state.counting_since, state.under_way.take())
        });
        let may_probe = counts && state.phase == Phase::HalfOpen;
        let probe = may_probe.then(|| state.take_probe(is_complete));
        let ticket = Ticket {
            generation: state.generation,
            probe,
            under_way,
        };
        (state, Ok(ticket), events)
    }

    /// Records how a request ended, or that it was never sent.
    pub(super) fn record(
        &self,
        mut state: State,
        now: Nanos,
        report: Report,
    ) -> (State, CircuitEvents) {
        let mut events = self.expire(&mut state, now);
        let Report { ticket, ended, .. } = report;
        if let Some((since, slice)) = ticket.under_way
            && since == state.counting_since
        {
            state.under_way.return_permit(slice);
        }
        let is_own = ticket.generation == state.generation;
        let stage = ticket.probe.map(|probe| probe.stage);
        let had_begun = stage.is_some_and(Stage::is_answered);
        let held = match ticket.probe {
            Some(probe) if is_own => state.return_probe(probe),
            _ => false,
        };
        let was_counted = stage == Some(Stage::Counted) || is_own && had_begun && !held;
        let sample = match ended {
            Ended::Neutral => return (state, events),
            Ended::Abandoned => Sample {
                failed: false,
                slow: true,
            },
            Ended::Answered(sample) => sample,
        };
        // A response that began well and breaks off now is a result of now.
        let breaks_now = had_begun && sample.failed && state.phase == Phase::Closed;
        if !is_own && !breaks_now {
            events.was_late = !was_counted;
            return (state, events);
        }
        if was_counted && !sample.failed {
            return (state, events);
        }
        if sample.failed {
            let retry_after_until = now + report.retry_after.min(self.open.max);
            state.retry_after_until = state.retry_after_until.max(retry_after_until);
        }
        let before = state;
        if self.consecutive > 0 {
            match ended {
                Ended::Answered(_) if sample.failed => {
                    state.consecutive = state.consecutive.saturating_add(1);
                }
                Ended::Answered(_) => state.consecutive = 0,
                // Neither a success nor a failure.
                Ended::Abandoned | Ended::Neutral => {}
            }
        }
        let transition = match state.phase {
            _ if self.is_metrics_only => {
                let counts = state.window.add(self.window_size, now, sample);
                let exceeded = self.trip_cause(&state, counts);
                let before = self.trip_cause(&before, self.counts(&before, now));
                events.exceeded = exceeded.filter(|_| before.is_none());
                None
            }
            Phase::Closed => {
                let mut counts = Counts::default();
                if self.failure_rate > 0 || self.slow_rate > 0 {
                    counts = state.window.add(self.window_size, now, sample);
                }
                let cause = self.trip_cause(&state, counts);
                cause.map(|cause| self.open(&mut state, now, cause, counts, report.random))
            }
            Phase::HalfOpen => {
                match was_counted {
                    true => state.probed.turn_success_into_failure(),
                    false => state.probed.add(sample),
                }
                self.decide(&mut state, now, report.random)
            }
            // No request is admitted in this generation.
            Phase::Open => None,
        };
        events.transition = match (events.transition, transition) {
            (Some(first), Some(second)) => Some(Transition {
                from: first.from,
                ..second
            }),
            (first, second) => second.or(first),
        };
        (state, events)
    }

    /// The cost of evicting a state from the table; 0 if the state is as good as new.
    pub(super) fn eviction_cost(&self, mut state: State, now: Nanos) -> u128 {
        self.expire(&mut state, now);
        let rank: u32 = match state.phase {
            Phase::Open => 3,
            Phase::HalfOpen => 2,
            Phase::Closed if state.under_way.out() > 0 => 1,
            Phase::Closed => 0,
        };
        let counts = state.window.counts(self.window_size, now);
        let held = u64::from(counts.total)
            .saturating_add(state.consecutive.into())
            .saturating_add(state.under_way.out().into());
        u128::from(rank) << u64::BITS | u128::from(held)
    }

    /// The results in the window at this time.
    pub(super) fn counts(&self, state: &State, now: Nanos) -> Counts {
        state.window.counts(self.window_size, now)
    }

    /// How many requests are under way, and how many probes are out.
    pub(super) fn out(&self, mut state: State, now: Nanos) -> (u32, u32) {
        self.expire(&mut state, now);
        (state.under_way.out(), state.probes_out())
    }

    fn expire(&self, state: &mut State, now: Nanos) -> CircuitEvents {
        let mut events = CircuitEvents::default();
        if state.phase == Phase::HalfOpen {
            events = self.expire_probes(state, now);
        }
        if self.max_concurrent > 0 {
            let expired = state.under_way.expire(self.concurrent_term, now);
            events.leases_expired = events.leases_expired.saturating_add(expired);
        }
        events
    }

    fn open(
        &self,
        state: &mut State,
        now: Nanos,
        cause: Cause,
        counts: Counts,
        random: u64,
    ) -> Transition {
        let time = self.open.delay(state.trips.into(), random);
        let open_until = (now + time).max(state.retry_after_until);
        state.trips = state.trips.saturating_add(1);
        state.last_trip = Trip {
            cause: Some(cause),
            failure_rate: counts.failure_rate(),
            slow_rate: counts.slow_rate(),
        };
        let transition = enter(state, Phase::Open, now, Some(cause));
        state.open_until = open_until;
        transition
    }
}

/// Begins a new generation, which has no results yet.
fn enter(state: &mut State, to: Phase, now: Nanos, cause: Option<Cause>) -> Transition {
    let from = state.phase;
    *state = State {
        phase: to,
        last_trip: state.last_trip,
        trips: state.trips,
        generation: now.get().max(state.generation.saturating_add(1)),
        counting_since: state.counting_since,
        under_way: state.under_way,
        ..State::default()
    };
    Transition { from, to, cause }
}

/// Spreads the bits of a number over all bits (the finalizer of SplitMix64; Steele, Lea, Flood 2014).
pub(super) fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
