//! A model of the rules of resilience4j and of leases that keeps lists of all events. The machine must agree with it
//! for every sequence of events.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::breaker::Breaker;
use super::super::machine::{Ended, Machine, Refusal, Report, Sample, State, Ticket};
use super::super::window_size::WindowSize;
use super::*;
use portcullis_table::State as _;

/// A request that was admitted.
#[derive(Clone, Copy, Debug)]
struct Request {
    id: usize,
    generation: u32,
    admitted_at: Nanos,
}

/// Everything that happened to one circuit.
#[derive(Debug)]
struct Model {
    rules: Rules,
    phase: Phase,
    generation: u32,
    trips: u32,
    open_until: Nanos,
    /// The results of this generation, with their times.
    results: Vec<(Nanos, Ended)>,
    /// All requests that have not ended.
    under_way: Vec<Request>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// In milliseconds, or in results.
    pub(super) window: Result<u64, u16>,
    pub(super) minimum: u32,
    pub(super) failure_rate: u32,
    pub(super) slow_rate: u32,
    pub(super) consecutive: u32,
    pub(super) permits: u32,
    pub(super) max_concurrent: u32,
}

const BASE: Nanos = Nanos::from_millis(1_000);
const MAX: Nanos = Nanos::from_millis(3_000);
/// The slices of leases: a quarter of their terms.
const PROBE_SLICE: Nanos = Nanos::from_millis(500);
const CONCURRENT_SLICE: Nanos = Nanos::from_millis(1_000);

impl Rules {
    pub(super) fn machine(self) -> Machine {
        let window = match self.window {
            Ok(milliseconds) => json!({"type": "time", "size": format!("{milliseconds}ms")}),
            Err(size) => json!({"type": "count", "size": size}),
        };
        let text = json!({
            "name": "a", "window": window, "minimum_requests": self.minimum,
            "failure_rate": self.failure_rate, "consecutive_failures": self.consecutive,
            "slow": {"threshold": "1s", "rate": self.slow_rate},
            "open": {"base": "1s", "factor": 2, "max": "3s", "jitter": 0},
            "half_open": {"permits": self.permits, "max_wait": "2s"},
            "max_concurrent": self.max_concurrent, "concurrent_lease": "4s",
            "state": if self.never_opens() { "metrics_only" } else { "auto" },
        });
        let breaker: Breaker = config::read(text.to_string().as_bytes()).unwrap();
        breaker.machine
    }

    fn never_opens(self) -> bool {
        [
            self.failure_rate,
            self.slow_rate,
            self.consecutive,
            self.max_concurrent,
        ] == [0; 4]
    }
}

pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let window = prop_oneof![(100..3_000_u64).prop_map(Ok), (1..12_u16).prop_map(Err)];
    let rate = || prop_oneof![1 => Just(0), 3 => 1..=100_u32];
    let numbers = (1..8_u32, 0..5_u32, 1..6_u32, 0..6_u32);
    (window, rate(), rate(), numbers)
        .prop_map(|(window, failure_rate, slow_rate, numbers)| {
            let (minimum, consecutive, permits, max_concurrent) = numbers;
            Rules {
                window,
                minimum,
                failure_rate,
                slow_rate,
                consecutive,
                permits,
                max_concurrent,
            }
        })
        .prop_filter("it can refuse", |rules| !rules.never_opens())
}

fn is_failure(ended: Ended) -> bool {
    matches!(ended, Ended::Answered(sample) if sample.failed)
}

fn is_slow(ended: Ended) -> bool {
    match ended {
        Ended::Neutral => false,
        Ended::Abandoned => true,
        Ended::Answered(sample) => sample.slow,
    }
}

impl Model {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Closed,
            generation: 0,
            trips: 0,
            open_until: Nanos::ZERO,
            results: Vec::new(),
            under_way: Vec::new(),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.results.clear();
    }

    /// How many requests hold a permit that has not expired.
    fn out(&self, now: Nanos, slice: Nanos, is_one: impl Fn(&Request) -> bool) -> u32 {
        let has_not_expired = |request: &&Request| {
            now.get() / slice.get() - request.admitted_at.get() / slice.get() < 5
        };
        let requests = self.under_way.iter().filter(|request| is_one(request));
        requests.filter(has_not_expired).count() as u32
    }

    fn admit(&mut self, id: usize, now: Nanos) -> Result<(), Refusal> {
        let probes = self.out(now, PROBE_SLICE, |one| one.generation == self.generation);
        let used = probes + self.results.len() as u32;
        let limit = self.rules.max_concurrent;
        let is_full = limit > 0 && self.out(now, CONCURRENT_SLICE, |_| true) >= limit;
        match self.phase {
            Phase::Open if now < self.open_until => {
                return Err(Refusal::Open {
                    until: self.open_until,
                });
            }
            Phase::HalfOpen if used >= self.rules.permits => return Err(Refusal::HalfOpen),
            _ if is_full => return Err(Refusal::Bulkhead),
            Phase::Open => self.enter(Phase::HalfOpen),
            Phase::HalfOpen | Phase::Closed => {}
        }
        self.under_way.push(Request {
            id,
            generation: self.generation,
            admitted_at: now,
        });
        Ok(())
    }

    fn end(&mut self, id: usize, now: Nanos, ended: Ended) {
        let at = self
            .under_way
            .iter()
            .position(|request| request.id == id)
            .unwrap();
        let request = self.under_way.remove(at);
        if request.generation != self.generation || ended == Ended::Neutral {
            return;
        }
        self.results.push((now, ended));
        match self.phase {
            Phase::Closed => {
                if self.in_a_row() >= self.rules.consecutive && self.rules.consecutive > 0 {
                    return self.open(now);
                }
                let window = self.window(now);
                let size = match self.rules.window {
                    Ok(_) => u32::MAX,
                    Err(size) => size.into(),
                };
                if window.len() as u32 >= self.rules.minimum.min(size) && self.exceeds(&window) {
                    self.open(now);
                }
            }
            Phase::HalfOpen => {
                let size = match self.rules.window {
                    Ok(_) => u32::MAX,
                    Err(size) => size.into(),
                };
                let enough = self.rules.minimum.min(size).min(self.rules.permits);
                let all: Vec<_> = self.results.iter().map(|(_, ended)| *ended).collect();
                let in_a_row = self.rules.consecutive.min(enough);
                if in_a_row > 0 && self.in_a_row() >= in_a_row {
                    self.open(now);
                } else if all.len() as u32 >= enough {
                    match self.exceeds(&all) {
                        true => self.open(now),
                        false => {
                            self.trips = 0;
                            self.enter(Phase::Closed);
                        }
                    }
                }
            }
            Phase::Open => panic!("nothing is admitted"),
        }
    }

    fn open(&mut self, now: Nanos) {
        self.open_until = now + (BASE * (1 << self.trips.min(10))).min(MAX);
        self.trips += 1;
        self.enter(Phase::Open);
    }

    /// The failures since the last success.
    fn in_a_row(&self) -> u32 {
        let answers = self.results.iter().rev().map(|(_, ended)| *ended);
        let answers = answers.filter(|ended| *ended != Ended::Abandoned);
        answers.take_while(|ended| is_failure(*ended)).count() as u32
    }

    fn window(&self, now: Nanos) -> Vec<Ended> {
        let results = self.results.iter().rev();
        match self.rules.window {
            Ok(milliseconds) => {
                let bucket = Nanos::from_millis(milliseconds).get().div_ceil(10);
                let is_in = |time: Nanos| now.get() / bucket - time.get() / bucket < 10;
                let results = results.filter(|(time, _)| is_in(*time));
                results.map(|(_, ended)| *ended).collect()
            }
            Err(size) => results.take(size.into()).map(|(_, ended)| *ended).collect(),
        }
    }

    fn exceeds(&self, results: &[Ended]) -> bool {
        let count = |is: fn(Ended) -> bool| results.iter().filter(|one| is(**one)).count() as f64;
        let rate = |part: f64| part * 100.0 / results.len() as f64;
        let over = |rate: f64, limit: u32| limit > 0 && rate >= f64::from(limit);
        over(rate(count(is_failure)), self.rules.failure_rate)
            || over(rate(count(is_slow)), self.rules.slow_rate)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Send,
    /// One of the requests under way ends, in this way.
    End(prop::sample::Index, Ended),
    /// In milliseconds.
    Wait(u64),
}

pub(super) fn ended() -> impl Strategy<Value = Ended> {
    let answered = (any::<bool>(), prop::bool::weighted(0.3))
        .prop_map(|(failed, slow)| Ended::Answered(Sample { failed, slow }));
    prop_oneof![6 => answered, 1 => Just(Ended::Neutral), 1 => Just(Ended::Abandoned)]
}

pub(super) fn steps(number: usize) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![4 => 0..300_u64, 1 => 900..3_100_u64, 1 => 0..20_000_u64];
    let step = prop_oneof![
        5 => Just(Step::Send),
        5 => (any::<prop::sample::Index>(), ended()).prop_map(|(one, how)| Step::End(one, how)),
        2 => wait.prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..number)
}

/// The state as the table stores it.
pub(super) fn stored(state: State) -> State {
    State::from_bytes(state.to_bytes())
}

pub(super) fn report(ticket: Ticket, ended: Ended) -> Report {
    Report {
        ticket,
        ended,
        retry_after: Nanos::ZERO,
        random: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_machine_does_what_the_rules_say(rules in rules(), steps in steps(300)) {
        let machine = rules.machine();
        let mut model = Model::new(rules);
        let mut state = State::default();
        let mut tickets: Vec<(usize, Ticket)> = Vec::new();
        let mut now = START;
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wait(milliseconds) => now += Nanos::from_millis(milliseconds),
                Step::Send => {
                    let (new, admitted, _) = machine.admit(state, now, CANDIDATE);
                    state = stored(new);
                    prop_assert_eq!(admitted.map(|_| ()), model.admit(id, now));
                    tickets.extend(admitted.map(|ticket| (id, ticket)));
                }
                Step::End(one, ended) if !tickets.is_empty() => {
                    let (id, ticket) = tickets.remove(one.index(tickets.len()));
                    let (new, _) = machine.record(state, now, report(ticket, ended));
                    state = stored(new);
                    model.end(id, now, ended);
                }
                Step::End(..) => {}
            }
            prop_assert_eq!(state.phase, model.phase);
            prop_assert_eq!(u32::from(state.trips), model.trips);
            if state.phase == Phase::Open {
                prop_assert_eq!(state.open_until, model.open_until);
            }
            let (under_way, probes) = machine.out(state, now);
            if rules.max_concurrent > 0 {
                prop_assert_eq!(under_way, model.out(now, CONCURRENT_SLICE, |_| true));
            }
            if state.phase == Phase::HalfOpen {
                let own = |one: &Request| one.generation == model.generation;
                prop_assert_eq!(probes, model.out(now, PROBE_SLICE, own));
            }
        }
    }
}

/// The machine takes the size of the window from the configuration.
#[test]
fn windows_are_as_configured() {
    let rules = |window| Rules {
        window,
        minimum: 1,
        failure_rate: 1,
        slow_rate: 0,
        consecutive: 0,
        permits: 1,
        max_concurrent: 0,
    };
    assert_eq!(
        rules(Ok(250)).machine().window_size,
        WindowSize::Time(Nanos::from_millis(250))
    );
    assert_eq!(rules(Err(7)).machine().window_size, WindowSize::Count(7));
}
