//! Refunds and debts.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::algorithms::rates;
use super::model::{History, Rate};
use super::*;
use crate::algorithm::{Algorithm, FixedWindow, Gcra, SlidingWindow};
use portcullis_table::State;

const TWO_SECONDS: Nanos = Nanos::from_secs(2);

/// The state and the time after spending these costs at these intervals.
fn spend<A: Algorithm>(algorithm: &A, steps: &[(Nanos, u32)]) -> (A::State, Nanos) {
    let mut now = START;
    let mut state = A::State::default();
    for (step, cost) in steps {
        now += *step;
        state = algorithm.spend(state, now, *cost);
    }
    (state, now)
}

/// Asserts that two states behave the same, now and later.
fn same<A: Algorithm>(algorithm: &A, one: A::State, other: A::State, now: Nanos, later: &[Nanos]) {
    let mut now = now;
    for step in std::iter::once(&Nanos::ZERO).chain(later) {
        now += *step;
        assert_eq!(
            algorithm.remaining(one, now),
            algorithm.remaining(other, now)
        );
        for cost in 1..=algorithm.capacity() {
            assert_eq!(
                algorithm.wait(one, now, cost),
                algorithm.wait(other, now, cost)
            );
        }
    }
}

/// Reserves and rolls back, alone and while others spend, all at one time.
fn roll_back<A: Algorithm>(algorithm: &A, steps: &[(Nanos, u32)], cost: u32, later: &[Nanos]) {
    let (state, now) = spend(algorithm, steps);
    let cost = cost.min(algorithm.capacity());
    let reserved = algorithm.spend(state, now, cost);
    let back = algorithm.refund(reserved, now, cost, now);
    same(algorithm, back, state, now, later);

    let with_another = algorithm.spend(reserved, now, 2);
    let back = algorithm.refund(with_another, now, cost, now);
    same(algorithm, back, algorithm.spend(state, now, 2), now, later);
}

/// Asserts that the join of two states is at least as strict as both, after any operations on all three.
fn join<A: Algorithm>(
    algorithm: &A,
    one: &[(Nanos, u32)],
    other: &[(Nanos, u32)],
    after: &[(Nanos, u32)],
) {
    let ((one, one_now), (other, other_now)) = (spend(algorithm, one), spend(algorithm, other));
    let mut now = one_now.max(other_now);
    let mut joined = one.join(other);
    let mut both = [one, other];
    for (step, cost) in after {
        now += *step;
        for state in &mut both {
            for cost in 1..=algorithm.capacity() {
                let mild = algorithm.wait(*state, now, cost);
                assert!(algorithm.wait(joined, now, cost) >= mild);
            }
            *state = algorithm.spend(*state, now, *cost);
        }
        joined = algorithm.spend(joined, now, *cost);
    }
}

fn steps() -> impl Strategy<Value = Vec<(Nanos, u32)>> {
    let distance = (0..3_000_000_000_u64).prop_map(Nanos::new);
    prop::collection::vec((distance, 0..4_u32), 0..20)
}

proptest! {
    #[test]
    fn a_roll_back_leaves_no_trace(
        steps in steps(),
        cost in 1..10_u32,
        later in prop::collection::vec((0..2_000_000_000_u64).prop_map(Nanos::new), 0..5),
    ) {
        roll_back(&Gcra::new(3, TWO_SECONDS, 5).unwrap(), &steps, cost, &later);
        roll_back(&SlidingWindow::new(5, TWO_SECONDS), &steps, cost, &later);
        roll_back(&FixedWindow::new(5, TWO_SECONDS), &steps, cost, &later);
    }

    #[test]
    fn a_join_is_at_least_as_strict(one in steps(), other in steps(), after in steps()) {
        join(&Gcra::new(3, TWO_SECONDS, 5).unwrap(), &one, &other, &after);
        join(&SlidingWindow::new(5, TWO_SECONDS), &one, &other, &after);
        join(&FixedWindow::new(5, TWO_SECONDS), &one, &other, &after);
    }

    /// Refunds may be partial or complete, late, and in any order.
    #[test]
    fn late_refunds_admit_no_more_than_the_bound(
        rate in rates(),
        steps in prop::collection::vec((0..400_u64, 1..5_u32, 0..8_usize, 0..5_u32), 0..50),
    ) {
        let gcra = Gcra::new(rate.requests, rate.per, rate.burst).unwrap();
        let mut state = Default::default();
        let mut now = START;
        let mut history = History::default();
        let mut held = Vec::new();
        for (thousandths, cost, newest, refund) in steps {
            now += rate.per * thousandths / 1_000;
            let cost = cost.min(rate.burst);
            if gcra.wait(state, now, cost) == Nanos::ZERO {
                state = gcra.spend(state, now, cost);
                history.0.push((now, cost));
            }
            let Some((spent_at, left)) = history.0.iter_mut().rev().nth(newest) else {
                continue;
            };
            let refund = refund.min(*left);
            if refund > 0 {
                *left -= refund;
                held.push((*spent_at, now));
                state = gcra.refund(state, now, refund, *spent_at);
            }
            prop_assert!(gcra.remaining(state, now) <= rate.burst);
        }
        let burst = i128::from(rate.burst) * i128::from(rate.per.get());
        let excess = history.greatest_excess(rate, longest_stretch(held));
        prop_assert!(excess <= burst, "{excess} of {burst}");
    }
}

/// The longest time that these intervals cover without a break.
pub(super) fn longest_stretch(mut held: Vec<(Nanos, Nanos)>) -> Nanos {
    held.sort();
    let [mut start, mut end, mut longest] = [Nanos::ZERO; 3];
    for (from, to) in held {
        if from > end {
            start = from;
        }
        end = end.max(to);
        longest = longest.max(end - start);
    }
    longest
}

#[test]
fn an_early_refund_is_exact_and_a_late_one_returns_only_what_has_not_recovered() {
    let gcra = Gcra::new(1, Nanos::SECOND, 10).unwrap();
    let spent = gcra.spend(Default::default(), START, 10);
    let back = |after: u64| {
        let now = START + Nanos::from_secs(after);
        gcra.remaining(gcra.refund(spent, now, 4, START), now)
    };
    assert_eq!(back(0), 4);
    assert_eq!(back(3), 7);
    // After 8 seconds, all but 2 have recovered.
    assert_eq!(back(8), 10);
    assert_eq!(back(20), 10);
    let later = START + Nanos::from_secs(10);
    // A refund after everything has recovered returns nothing of the usage of others.
    let others = gcra.spend(spent, later, 5);
    let late = gcra.refund(others, later, 4, START);
    assert_eq!(gcra.remaining(late, later), 5);
}

#[test]
fn windows_refund_where_the_cost_was_spent() {
    let sliding = SlidingWindow::new(10, Nanos::SECOND);
    let fixed = FixedWindow::new(10, Nanos::SECOND);
    let (first, second) = (START, START + Nanos::SECOND);

    let state = sliding.spend(Default::default(), first, 6);
    let state = sliding.spend(state, second, 3);
    // At the start of the second window, the whole count of the first one applies.
    assert_eq!(sliding.remaining(state, second), 1);
    let refunded = |spent_at| sliding.refund(state, second, 2, spent_at);
    assert_eq!(sliding.remaining(refunded(first), second), 3);
    assert_eq!(sliding.remaining(refunded(second), second), 3);
    assert_eq!(
        sliding.remaining(refunded(first), second + Nanos::SECOND / 2),
        5
    );
    assert_eq!(
        sliding.remaining(refunded(second), second + Nanos::SECOND / 2),
        6
    );
    assert_eq!(
        sliding.remaining(refunded(first - Nanos::SECOND), second),
        1
    );

    let state = fixed.spend(fixed.spend(Default::default(), first, 6), second, 3);
    let refunded = |spent_at| fixed.remaining(fixed.refund(state, second, 2, spent_at), second);
    assert_eq!([refunded(first), refunded(second)], [7, 9]);
}

#[test]
fn a_debt_is_paid_by_waiting() {
    let rate = Rate {
        requests: 10,
        per: Nanos::from_secs(10),
        burst: 10,
    };
    let gcra = Gcra::new(rate.requests, rate.per, rate.burst).unwrap();
    let state = gcra.spend(Default::default(), START, 25);
    assert_eq!(gcra.remaining(state, START), 0);
    assert_eq!(gcra.wait(state, START, 1), Nanos::from_secs(16));

    let sliding = SlidingWindow::new(rate.requests, rate.per);
    let state = sliding.spend(Default::default(), START, 25);
    // In the next window, 25 fade to 9 when 9/25 of it remain.
    assert_eq!(sliding.wait(state, START, 1), Nanos::from_millis(16_400));

    let fixed = FixedWindow::new(rate.requests, rate.per);
    let state = fixed.spend(Default::default(), START, 25);
    assert_eq!(fixed.wait(state, START, 1), Nanos::from_secs(10));
}
