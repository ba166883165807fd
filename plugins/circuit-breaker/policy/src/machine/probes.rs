//! The probes of a half-open circuit, and their results.
//!
//! A probe holds a permit in one of three ways, each with leases of its own ([`leases`](super::leases)):
//!
//! - **uploading**: its request is incomplete. Such a probe takes no permit from complete requests, and holds its own
//!   only for a short time, so a client that stalls its upload takes nothing from other clients.
//! - **sent**: its request is complete, and the upstream has yet to answer.
//! - **answered**: its response has begun well, and its status comes with the trailers (gRPC). When this lease ends,
//!   the probe has succeeded.
//!
//! Any other response that begins well counts at once (**counted**). If it breaks off later, it counts again, as a
//! failure: in place of its success while the circuit is half-open, like any other failure once the circuit is closed.

use super::leases::Slice;
use super::window::{Counts, Sample};
use super::{Cause, CircuitEvents, Machine, State, Ticket, Transition, enter, mix};
use portcullis_core::breaker_snapshot::Phase;
use portcullis_core::time::Nanos;

/// The permit of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    slice: Slice,
    pub(super) stage: Stage,
}

/// How far a probe has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Uploading,
    Sent,
    Answered,
    Counted,
}

impl Stage {
    /// Whether the response has begun well.
    pub(super) fn is_answered(self) -> bool {
        matches!(self, Self::Answered | Self::Counted)
    }
}

/// A response that has begun well: an early success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlySuccess {
    /// Whether its headers were slow.
    pub(crate) is_slow: bool,
    /// Whether its status comes with the trailers.
    pub(crate) has_status_in_trailers: bool,
}

/// The result of all probes.
pub(super) enum ProbeDecision {
    Open,
    Close,
}

impl State {
    /// Takes a permit for a request.
    pub(super) fn take_probe(&mut self, is_complete: bool) -> Probe {
        let (leases, stage) = match is_complete {
            true => (&mut self.probes, Stage::Sent),
            false => (&mut self.uploads, Stage::Uploading),
        };
        Probe {
            slice: leases.take(),
            stage,
        }
    }

    /// Returns the permit of a probe of this generation. False if the probe no longer held one.
    pub(super) fn return_probe(&mut self, probe: Probe) -> bool {
        match probe.stage {
            Stage::Uploading => self.uploads.return_permit(probe.slice),
            Stage::Sent => self.probes.return_permit(probe.slice),
            Stage::Answered => self.answered.return_permit(probe.slice),
            Stage::Counted => false,
        }
    }

    /// How many probes are out.
    pub(super) fn probes_out(&self) -> u32 {
        let sent = self.probes.out().saturating_add(self.answered.out());
        sent.saturating_add(self.uploads.out())
    }
}

impl Machine {
    /// How many more probes may pass. At least one if none is out, because a new configuration may have fewer
    /// permits than there are results.
    pub(super) fn probes_left(&self, state: &State, is_complete: bool) -> u32 {
        let mut out = state.probes_out();
        if is_complete {
            out = out.saturating_sub(state.uploads.out());
        }
        let used = out.saturating_add(state.probed.total);
        let left = self.permits.saturating_sub(used);
        left.max((out == 0).into())
    }

    /// Expires the permits of probes. Probes whose responses had begun well have succeeded.
    pub(super) fn expire_probes(&self, state: &mut State, now: Nanos) -> CircuitEvents {
        let mut events = CircuitEvents {
            leases_expired: state
                .probes
                .expire(self.probe_term, now)
                .saturating_add(state.uploads.expire(self.short_term, now)),
            ..CircuitEvents::default()
        };
        let succeeded = state.answered.expire(self.short_term, now);
        if succeeded > 0 {
            state.probed.total = state.probed.total.saturating_add(succeeded);
            state.consecutive = 0;
            let random = mix(now.get() ^ state.generation);
            events.transition = self.decide(state, now, random);
        }
        events
    }

    /// Records that the request of a probe is complete.
    pub(crate) fn complete(
        &self,
        mut state: State,
        now: Nanos,
        mut ticket: Ticket,
    ) -> (State, Ticket, CircuitEvents) {
        let events = self.expire(&mut state, now);
        if let Some(probe) = &mut ticket.probe
            && probe.stage == Stage::Uploading
            && ticket.generation == state.generation
        {
            state.return_probe(*probe);
            *probe = state.take_probe(true);
        }
        (state, ticket, events)
    }

    /// Records that the response to a probe has begun well.
    pub(crate) fn answer(
        &self,
        mut state: State,
        now: Nanos,
        mut ticket: Ticket,
        early: EarlySuccess,
    ) -> (State, Ticket, CircuitEvents) {
        let mut events = self.expire(&mut state, now);
        let Some(probe) = &mut ticket.probe else {
            return (state, ticket, events);
        };
        let waits_for_more = early.has_status_in_trailers && early.is_slow;
        if ticket.generation != state.generation || probe.stage.is_answered() || waits_for_more {
            return (state, ticket, events);
        }
        state.return_probe(*probe);
        if early.has_status_in_trailers {
            probe.stage = Stage::Answered;
            probe.slice = state.answered.take();
            return (state, ticket, events);
        }
        probe.stage = Stage::Counted;
        state.consecutive = 0;
        state.probed.add(Sample {
            failed: false,
            slow: early.is_slow,
        });
        let random = mix(now.get() ^ state.generation);
        let decided = self.decide(&mut state, now, random);
        events.transition = decided.or(events.transition);
        (state, ticket, events)
    }

    /// Opens or closes a half-open circuit if there are enough results.
    pub(super) fn decide(&self, state: &mut State, now: Nanos, random: u64) -> Option<Transition> {
        let probed = state.probed;
        match self.probe_decision(state)? {
            ProbeDecision::Open => Some(self.open(state, now, Cause::Probe, probed, random)),
            ProbeDecision::Close => {
                state.trips = 0;
                Some(enter(state, Phase::Closed, now, None))
            }
        }
    }

    /// The result of all probes, once there are enough results.
    fn probe_decision(&self, state: &State) -> Option<ProbeDecision> {
        let enough = self.minimum.min(self.permits);
        let in_a_row = self.consecutive.min(enough);
        if in_a_row > 0 && state.consecutive >= in_a_row {
            return Some(ProbeDecision::Open);
        }
        if state.probed.total < enough {
            return None;
        }
        Some(match self.exceeds(state.probed) {
            (false, false) => ProbeDecision::Close,
            _ => ProbeDecision::Open,
        })
    }
}

impl Counts {
    /// Turns a result that counted as a success into a failure.
    pub(super) fn turn_success_into_failure(&mut self) {
        self.failed = self.failed.saturating_add(1).min(self.total);
    }
}
