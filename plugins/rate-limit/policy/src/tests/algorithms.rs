//! Each algorithm against a model that remembers everything.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::model::{History, Rate};
use super::*;
use crate::algorithm::{Algorithm, FixedWindow, Gcra, SlidingWindow};
use portcullis_table::State;

/// Rates, some of which do not divide evenly.
pub(super) fn rates() -> impl Strategy<Value = Rate> {
    let per = prop_oneof![
        Just(Nanos::MILLISECOND),
        Just(Nanos::SECOND),
        Just(Nanos::from_secs(60)),
        Just(Nanos::from_secs(3_600)),
        (1_000_000..100_000_000_000_u64).prop_map(Nanos::new),
    ];
    (1..12_u32, per, 1..12_u32).prop_map(|(requests, per, burst)| Rate {
        requests,
        per,
        burst,
    })
}

/// Waiting times in thousandths of the period (zero, slightly negative, part of the period, several periods), and
/// costs.
fn steps() -> impl Strategy<Value = Vec<(i64, u32)>> {
    let thousandths = prop_oneof![
        3 => Just(0),
        1 => -50..0_i64,
        4 => 0..300_i64,
        1 => 0..3_000_i64,
    ];
    let cost = prop_oneof![5 => Just(1), 3 => 0..5_u32, 1 => 0..12_u32];
    prop::collection::vec((thousandths, cost), 0..60)
}

fn after(now: Nanos, thousandths: i64, per: Nanos) -> Nanos {
    let step = i128::from(thousandths) * i128::from(per.get()) / 1_000;
    Nanos::new(u64::try_from(i128::from(now.get()) + step).unwrap())
}

fn gcra(rate: Rate) -> Gcra {
    Gcra::new(rate.requests, rate.per, rate.burst).unwrap()
}

/// Runs the steps through an algorithm and checks each result against the model of the same history.
fn agree<A: Algorithm>(
    algorithm: &A,
    rate: Rate,
    steps: &[(i64, u32)],
    model: impl Fn(&History, Nanos, u32) -> bool,
) -> Result<History, TestCaseError> {
    let capacity = algorithm.capacity();
    let mut state = A::State::default();
    let mut history = History::default();
    let mut now = START;
    for (step, cost) in steps {
        now = after(now, *step, rate.per);
        let cost = (*cost).min(capacity);

        let remaining = algorithm.remaining(state, now);
        prop_assert!(remaining <= capacity);
        prop_assert!(
            remaining == 0 || model(&history, now, remaining),
            "{remaining} remain"
        );
        prop_assert!(remaining == capacity || !model(&history, now, remaining + 1));

        let wait = algorithm.wait(state, now, cost);
        prop_assert_eq!(wait == Nanos::ZERO, model(&history, now, cost));
        if wait > Nanos::ZERO {
            prop_assert!(model(&history, now + wait, cost), "not after {wait:?}");
            prop_assert!(
                !model(&history, now + wait - Nanos::new(1), cost),
                "before {wait:?}"
            );
            continue;
        }
        if cost > 0 {
            state = algorithm.spend(state, now, cost);
            history.0.push((now, cost));
        }
    }
    Ok(history)
}

proptest! {
    #[test]
    fn gcra_is_exact(rate in rates(), steps in steps()) {
        let history = agree(&gcra(rate), rate, &steps, |history, now, cost| {
            history.gcra_admits(rate, now, cost)
        })?;
        let burst = i128::from(rate.burst) * i128::from(rate.per.get());
        prop_assert!(history.greatest_excess(rate, Nanos::ZERO) <= burst);
    }

    #[test]
    fn sliding_window_is_exact(rate in rates(), steps in steps()) {
        let window = SlidingWindow::new(rate.requests, rate.per);
        agree(&window, rate, &steps, |history, now, cost| {
            history.sliding_window_admits(rate, now, cost)
        })?;
    }

    #[test]
    fn sliding_window_keeps_to_its_bound(rate in rates(), mut steps in steps()) {
        steps.iter_mut().for_each(|(step, _)| *step = (*step).max(0));
        let window = SlidingWindow::new(rate.requests, rate.per);
        let history = agree(&window, rate, &steps, |history, now, cost| {
            history.sliding_window_admits(rate, now, cost)
        })?;
        let requests = i128::from(rate.requests) * i128::from(rate.per.get());
        prop_assert!(history.greatest_excess(rate, Nanos::ZERO) <= requests);
    }

    #[test]
    fn fixed_window_is_exact(rate in rates(), steps in steps()) {
        let window = FixedWindow::new(rate.requests, rate.per);
        agree(&window, rate, &steps, |history, now, cost| {
            history.fixed_window_admits(rate, now, cost)
        })?;
    }

    /// What was counted elsewhere is used then, once, and the order of states stays.
    #[test]
    fn usage_is_raised_once(rate in rates(), costs in prop::array::uniform4(0..12_u32), used in 0..12_u32) {
        raises(&gcra(rate), rate, costs, used)?;
        raises(&SlidingWindow::new(rate.requests, rate.per), rate, costs, used)?;
        raises(&FixedWindow::new(rate.requests, rate.per), rate, costs, used)?;
    }

    /// Other writers can put any bytes into the store.
    #[test]
    fn nothing_overflows(
        bytes in any::<[u8; 16]>(),
        other in any::<[u8; 16]>(),
        now in any::<u64>().prop_map(Nanos::new),
        spent_at in any::<u64>().prop_map(Nanos::new),
        cost in any::<u32>(),
        rate in rates(),
    ) {
        let window = SlidingWindow::new(rate.requests, rate.per);
        survive(&window, State::from_bytes(bytes), State::from_bytes(other), now, spent_at, cost);
        let [bytes, other] = [bytes, other].map(|bytes| *bytes.first_chunk().unwrap());
        let window = FixedWindow::new(rate.requests, rate.per);
        survive(&window, State::from_bytes(bytes), State::from_bytes(other), now, spent_at, cost);
        let [bytes, other] = [bytes, other].map(|bytes| *bytes.first_chunk().unwrap());
        survive(&gcra(rate), State::from_bytes(bytes), State::from_bytes(other), now, spent_at, cost);
    }
}

fn raises<A: Algorithm>(
    algorithm: &A,
    rate: Rate,
    [before, soon, more, after]: [u32; 4],
    used: u32,
) -> Result<(), TestCaseError> {
    let capacity = algorithm.capacity();
    let used = used.min(capacity);
    let spend = |cost| algorithm.spend(Default::default(), START, cost);
    let now = START + Nanos::new(rate.per.get() / 3);
    let mild = algorithm.spend(spend(before), now, soon);
    let strict = algorithm.spend(spend(before + more), now, soon);
    let [raised, stricter] = [mild, strict].map(|state| algorithm.raise(state, now, used));
    prop_assert!(algorithm.remaining(raised, now) <= capacity - used);
    let again = algorithm.raise(raised, now, used);
    prop_assert!(again.to_bytes().as_ref() == raised.to_bytes().as_ref());
    // It is no more than that, unless more was used here, or in the window before.
    let most = algorithm.remaining(mild, now).min(capacity - used);
    prop_assert!(before > 0 || algorithm.remaining(raised, now) == most);
    for later in [now, now + rate.per, now + rate.per * 2] {
        let [mild, strict] = [raised, stricter]
            .map(|state| algorithm.remaining(algorithm.spend(state, later, after), later));
        prop_assert!(strict <= mild);
    }
    Ok(())
}

fn survive<A: Algorithm>(
    algorithm: &A,
    state: A::State,
    other: A::State,
    now: Nanos,
    spent_at: Nanos,
    cost: u32,
) {
    let _ = A::State::from_bytes(algorithm.spend(state, now, cost).to_bytes()).join(other);
    let _ = algorithm.refund(state, now, cost, spent_at);
    let _ = algorithm.raise(state, now, cost);
    let _ = algorithm.wait(state, now, cost.min(algorithm.capacity()));
    let _ = algorithm.used(state, now);
    assert!(algorithm.remaining(state, now) <= algorithm.capacity());
}

#[test]
fn gcra_rounds_towards_the_lower_rate() {
    // Three a second: a third of a second is not a whole number of nanoseconds.
    let gcra = Gcra::new(3, Nanos::SECOND, 1).unwrap();
    let state = gcra.spend(Default::default(), START, 1);
    assert_eq!(gcra.wait(state, START, 1), Nanos::new(333_333_334));
}

#[test]
fn fixed_windows_start_at_full_hours_of_the_clock() {
    let window = FixedWindow::new(1, Nanos::from_secs(3_600));
    let before = START + Nanos::from_secs(3_599);
    let state = window.spend(Default::default(), before, 1);
    assert_eq!(window.wait(state, before, 1), Nanos::SECOND);
    assert_eq!(window.wait(state, before + Nanos::SECOND, 1), Nanos::ZERO);
}

#[test]
fn a_burst_that_takes_ages_is_refused() {
    const YEAR: Nanos = Nanos::from_secs(365 * 86_400);
    assert!(Gcra::new(1, YEAR, 10).is_some());
    assert!(Gcra::new(1, YEAR, 11).is_none());
    assert!(Gcra::new(1, YEAR, u32::MAX).is_none());
}
