//! One circuit: the state of one key, and what happens to it.
//!
//! Pure: [`Machine::admit`] and [`Machine::record`] take a state and the time, and return the new state.
//! What they do is described in the [policy](super)'s documentation.

mod codec;
mod leases;
mod open_time;
mod state;
mod verdict;
mod window;

use leases::Slice;
pub(super) use leases::Term;
pub(super) use open_time::OpenTime;
pub use state::{Cause, Phase};
pub(super) use state::{State, Trip};
use verdict::Verdict;
pub(super) use window::{Counts, Extent, MAX_RESULTS, Sample};

/// The rules of a breaker, in numbers. Whatever is 0 is off, except as told.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) extent: Extent,
    /// How many results there have to be before rates count, at least 1.
    pub(super) minimum: u32,
    /// In percent.
    pub(super) failure_rate: u32,
    /// In percent.
    pub(super) slow_rate: u32,
    pub(super) consecutive: u32,
    pub(super) open: OpenTime,
    /// How many probes a half-open circuit admits, at least 1.
    pub(super) permits: u32,
    pub(super) probe_term: Term,
    pub(super) max_concurrent: u32,
    pub(super) concurrent_term: Term,
    /// Never opens.
    pub(super) only_measures: bool,
}

/// What an admitted request takes along, to be handed back with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    generation: u64,
    probe: Option<Slice>,
    under_way: Option<(u64, Slice)>,
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The circuit is open until then.
    Open { until: u64 },
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

/// What happened to a circuit beside what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// The phase has changed.
    pub transition: Option<Transition>,
    /// How many permits came back by themselves.
    pub leases_expired: u32,
    /// The result came from an older generation and was not counted.
    pub was_late: bool,
    /// A circuit that only measures would have opened, for this.
    pub exceeded: Option<Cause>,
}

/// How a request ended, as it is to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It does not count.
    Neutral,
    /// Nobody waited for the answer, but it was slow in coming.
    Abandoned,
    /// There was an answer.
    Answered(Sample),
}

/// What is recorded of a request that was admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) ticket: Ticket,
    pub(super) ended: Ended,
    /// For how long a failure asked to be left alone, in nanoseconds.
    pub(super) retry_after: u64,
    /// Makes the jitter, should the circuit open.
    pub(super) random: u64,
}

impl Machine {
    /// Asks for admission. What the state is then has to be kept, even after a refusal.
    pub(super) fn admit(
        &self,
        mut state: State,
        now: u64,
    ) -> (State, Result<Ticket, Refusal>, Happened) {
        let mut happened = Happened {
            leases_expired: self.expire(&mut state, now),
            ..Happened::default()
        };
        let is_full = self.max_concurrent > 0 && state.under_way.out() >= self.max_concurrent;
        let refusal = match state.phase {
            _ if self.only_measures => None,
            Phase::Open if now < state.open_until => Some(Refusal::Open {
                until: state.open_until,
            }),
            Phase::HalfOpen if self.probes_left(&state) == 0 => Some(Refusal::HalfOpen),
            _ if is_full => Some(Refusal::Bulkhead),
            Phase::Closed | Phase::HalfOpen | Phase::Open => None,
        };
        if let Some(refusal) = refusal {
            return (state, Err(refusal), happened);
        }
        if state.phase == Phase::Open && !self.only_measures {
            happened.transition = Some(enter(&mut state, Phase::HalfOpen, now, None));
            state.probes.expire(self.probe_term, now);
        }
        let under_way = (self.max_concurrent > 0).then(|| {
            if state.counting_since == 0 {
                state.counting_since = now.max(1);
            }
            (state.counting_since, state.under_way.take())
        });
        let probe = (state.phase == Phase::HalfOpen).then(|| state.probes.take());
        let ticket = Ticket {
            generation: state.generation,
            probe,
            under_way,
        };
        (state, Ok(ticket), happened)
    }

    /// Records how a request ended, or that it was never sent.
    pub(super) fn record(&self, mut state: State, now: u64, report: Report) -> (State, Happened) {
        let mut happened = Happened {
            leases_expired: self.expire(&mut state, now),
            ..Happened::default()
        };
        let Report { ticket, ended, .. } = report;
        if let Some((since, slice)) = ticket.under_way
            && since == state.counting_since
        {
            state.under_way.give_back(slice);
        }
        if ticket.generation != state.generation {
            happened.was_late = ended != Ended::Neutral;
            return (state, happened);
        }
        if let Some(slice) = ticket.probe {
            state.probes.give_back(slice);
        }
        let sample = match ended {
            Ended::Neutral => return (state, happened),
            Ended::Abandoned => Sample {
                failed: false,
                slow: true,
            },
            Ended::Answered(sample) => sample,
        };
        if sample.failed {
            let spared_until = now.saturating_add(report.retry_after.min(self.open.max));
            state.spared_until = state.spared_until.max(spared_until);
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
        match state.phase {
            _ if self.only_measures => {
                let counts = state.window.add(self.extent, now, sample);
                let exceeded = self.verdict(&state, counts);
                let before = self.verdict(&before, self.counts(&before, now));
                happened.exceeded = exceeded.filter(|_| before.is_none());
            }
            Phase::Closed => {
                let mut counts = Counts::default();
                if self.failure_rate > 0 || self.slow_rate > 0 {
                    counts = state.window.add(self.extent, now, sample);
                }
                if let Some(cause) = self.verdict(&state, counts) {
                    let opened = self.open(&mut state, now, cause, counts, report.random);
                    happened.transition = Some(opened);
                }
            }
            Phase::HalfOpen => {
                state.probed.add(sample);
                let probed = state.probed;
                happened.transition = match self.verdict_on_probes(&state) {
                    Some(Verdict::Open) => {
                        Some(self.open(&mut state, now, Cause::Probe, probed, report.random))
                    }
                    Some(Verdict::Close) => {
                        state.trips = 0;
                        Some(enter(&mut state, Phase::Closed, now, None))
                    }
                    None => None,
                };
            }
            // Nothing is admitted in this generation.
            Phase::Open => {}
        }
        (state, happened)
    }

    /// How bad it is to forget a state, for the table; 0 if it says nothing any more.
    pub(super) fn harm(&self, mut state: State, now: u64) -> u128 {
        self.expire(&mut state, now);
        let rank: u32 = match state.phase {
            Phase::Open => 3,
            Phase::HalfOpen => 2,
            Phase::Closed if state.under_way.out() > 0 => 1,
            Phase::Closed => 0,
        };
        let counts = state.window.counts(self.extent, now);
        let held = u64::from(counts.total)
            .saturating_add(state.consecutive.into())
            .saturating_add(state.under_way.out().into());
        u128::from(rank) << u64::BITS | u128::from(held)
    }

    /// What is in the window now.
    pub(super) fn counts(&self, state: &State, now: u64) -> Counts {
        state.window.counts(self.extent, now)
    }

    /// How many requests are under way, and how many probes are out.
    pub(super) fn out(&self, mut state: State, now: u64) -> (u32, u32) {
        self.expire(&mut state, now);
        (state.under_way.out(), state.probes.out())
    }

    fn expire(&self, state: &mut State, now: u64) -> u32 {
        let mut expired = 0_u32;
        if self.max_concurrent > 0 {
            expired = state.under_way.expire(self.concurrent_term, now);
        }
        if state.phase == Phase::HalfOpen {
            expired = expired.saturating_add(state.probes.expire(self.probe_term, now));
        }
        expired
    }

    /// How many more probes may pass. When none is out there is always one more: a new configuration may
    /// have fewer permits than there are results.
    fn probes_left(&self, state: &State) -> u32 {
        let out = state.probes.out();
        let used = out.saturating_add(state.probed.total);
        let left = self.permits.saturating_sub(used);
        left.max((out == 0).into())
    }

    fn open(
        &self,
        state: &mut State,
        now: u64,
        cause: Cause,
        counts: Counts,
        random: u64,
    ) -> Transition {
        let time = self.open.after(state.trips, random);
        let open_until = now.saturating_add(time).max(state.spared_until);
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

/// Begins a new generation, in which nothing has happened yet.
fn enter(state: &mut State, to: Phase, now: u64, cause: Option<Cause>) -> Transition {
    let from = state.phase;
    *state = State {
        phase: to,
        last_trip: state.last_trip,
        trips: state.trips,
        generation: now.max(state.generation.saturating_add(1)),
        counting_since: state.counting_since,
        under_way: state.under_way,
        ..State::default()
    };
    Transition { from, to, cause }
}
