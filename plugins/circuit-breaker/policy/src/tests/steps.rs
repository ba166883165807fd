//! Properties of a circuit that hold after any events.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::machine::{Ended, Machine, Refusal, Report, Sample, State, Ticket};
use super::model::{Step, ended, report, rules, steps, stored};
use super::*;
use portcullis_table::State as _;

const SUCCESS: Ended = Ended::Answered(Sample {
    failed: false,
    slow: false,
});

/// Takes the steps, with a clock that is sometimes slightly behind.
fn reach(machine: &Machine, steps: Vec<Step>) -> (State, Nanos, Vec<Ticket>) {
    let mut state = State::default();
    let mut tickets: Vec<Ticket> = Vec::new();
    let mut now = START;
    for (i, step) in steps.into_iter().enumerate() {
        let read_at = now - Nanos::MICROSECOND * (i as u64 % 3) * 50;
        match step {
            Step::Wait(milliseconds) => now += Nanos::from_millis(milliseconds),
            Step::Send => {
                let (new, admitted, _) = machine.admit(state, read_at, CANDIDATE);
                state = stored(new);
                tickets.extend(admitted);
            }
            Step::End(one, ended) if !tickets.is_empty() => {
                let ticket = tickets.remove(one.index(tickets.len()));
                state = stored(machine.record(state, read_at, report(ticket, ended)).0);
            }
            Step::End(..) => {}
        }
        if machine.max_concurrent > 0 {
            assert!(machine.out(state, now).0 <= machine.max_concurrent);
        }
    }
    (state, now, tickets)
}

/// Sends requests that succeed at once until the circuit is closed, and returns how many passed before that. Panics if
/// it takes longer than leases and open times can last.
fn recover(machine: &Machine, mut state: State, mut now: Nanos) -> u32 {
    let end = now + Nanos::from_secs(20);
    let mut passed = 0;
    while state.phase != Phase::Closed {
        assert!(now < end, "stuck: {state:?}");
        let (new, admitted, _) = machine.admit(state, now, CANDIDATE);
        state = new;
        match admitted {
            Ok(ticket) => {
                passed += 1;
                state = machine.record(state, now, report(ticket, SUCCESS)).0;
            }
            Err(_) => now += Nanos::from_millis(100),
        }
    }
    passed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// All requests under way are lost. With time and successes, the circuit closes.
    #[test]
    fn it_is_never_stuck(rules in rules(), steps in steps(200)) {
        let machine = rules.machine();
        let (state, now, _lost) = reach(&machine, steps);
        recover(&machine, state, now);
    }

    /// The same if the rules change in between, as a new configuration can do.
    #[test]
    fn new_rules_do_not_block(old in rules(), new in rules(), steps in steps(200)) {
        let (state, now, _lost) = reach(&old.machine(), steps);
        let mut machine = new.machine();
        machine.window_size = old.machine().window_size;
        recover(&machine, state, now);
    }

    /// When everything has ended, nothing is out.
    #[test]
    fn nothing_leaks(rules in rules(), steps in steps(200), last in ended()) {
        let machine = rules.machine();
        let (mut state, now, tickets) = reach(&machine, steps);
        for ticket in tickets {
            state = machine.record(state, now, report(ticket, last)).0;
        }
        prop_assert_eq!(machine.out(state, now), (0, 0));
    }

    /// A result of an older generation changes only the number of requests under way: it makes room in the bulkhead,
    /// like a request that ends without a result.
    #[test]
    fn late_results_change_nothing(rules in rules(), steps in steps(200), last in ended()) {
        let machine = rules.machine();
        let (state, now, tickets) = reach(&machine, steps);
        for ticket in tickets {
            let (after, events) = machine.record(state, now, report(ticket, last));
            if events.was_late {
                let (neutral, _) = machine.record(state, now, report(ticket, Ended::Neutral));
                prop_assert_eq!(after, neutral);
                prop_assert_eq!(after.phase, state.phase);
                prop_assert_eq!(after.generation, state.generation);
                prop_assert_eq!(after.probed, state.probed);
                prop_assert_eq!(after.consecutive, state.consecutive);
                prop_assert_eq!(machine.counts(&after, now), machine.counts(&state, now));
                prop_assert_eq!(machine.out(after, now).1, machine.out(state, now).1);
            }
        }
    }

    /// When a probe passes, at most `permits` probes are out or have a result, this one included; and there are never
    /// more results than that.
    #[test]
    fn probes_are_never_more_than_the_permits(
        rules in rules(),
        steps in steps(200),
        endings in prop::collection::vec((any::<bool>(), ended()), 0..60),
    ) {
        let machine = rules.machine();
        let (mut state, mut now, mut under_way) = reach(&machine, steps);
        for (ends, ended) in endings {
            let (new, admitted, _) = machine.admit(state, now, CANDIDATE);
            state = new;
            let is_probe = admitted.is_ok();
            match admitted {
                Err(Refusal::Open { until }) => now = until,
                Err(_) => {}
                Ok(ticket) => under_way.push(ticket),
            }
            if state.phase == Phase::HalfOpen {
                let out = machine.out(state, now).1;
                prop_assert!(out <= machine.permits);
                prop_assert!(state.probed.total <= machine.permits);
                // A probe whose permit expired may have a result after all, while the probe that got its
                // permit is out: together they can be more, but then no further probe passes.
                prop_assert!(!is_probe || out + state.probed.total <= machine.permits);
                prop_assert!(out as usize <= under_way.len());
            }
            if ends && let Some(ticket) = under_way.pop() {
                state = machine.record(state, now, report(ticket, ended)).0;
            }
        }
    }

    /// Any bytes in a slot are a state, and no operation on it panics.
    #[test]
    fn any_bytes_are_a_state(
        bytes in prop::collection::vec(any::<u8>(), State::default().to_bytes().len()),
        rules in rules(),
        [now, retry_after] in any::<[u64; 2]>().prop_map(|times| times.map(Nanos::new)),
        random in any::<u64>(),
        ended in ended(),
    ) {
        let state = State::from_bytes(bytes.try_into().unwrap());
        let machine = rules.machine();
        machine.eviction_cost(state, now);
        let (new, admitted, _) = machine.admit(state, now, CANDIDATE);
        let ticket = admitted.or_else(|_| machine.admit(State::default(), now, CANDIDATE).1).unwrap();
        let report = Report { ticket, ended, retry_after, random };
        let (last, _) = machine.record(new, now, report);
        prop_assert_eq!(stored(last), last);
        machine.record(state, now, report);
    }
}
