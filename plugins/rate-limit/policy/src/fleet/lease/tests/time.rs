//! When leases and denials end.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_lease_dies_before_its_window() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 996, 40);
    // The window ends 39 to 40 s after the call.
    key.now = START + Nanos::from_secs(38) + MS * 960;
    key.takes(1);
    key.now = START + Nanos::from_secs(39);
    assert!(matches!(key.take(1), Take::Ask(_)));
    assert_eq!(key.wasted, 2);
}

/// The answer may have been computed right after the call: its time on the way does not count.
#[test]
fn a_slow_answer_does_not_prolong_a_lease() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.now += MS * 40;
    key.granted(ticket, 996, 10);
    key.now = START + Nanos::from_secs(9);
    assert!(!key.lease.is_live(key.now));
}

/// The clock of the service moves on by a second between two calls; the bound of the second is later.
#[test]
fn the_latest_bound_of_a_window_counts() {
    let mut key = Key::new();
    let first = key.asks(4);
    key.granted(first, 996, 40);
    key.now = START + MS * 900;
    let second = key.asks(4);
    key.granted(second, 990, 40);
    key.now = START + Nanos::from_secs(39) + MS * 850;
    assert!(key.lease.is_live(key.now));
}

/// A call that may have been counted in the window before: its rest is the whole window.
#[test]
fn tokens_of_a_window_that_may_be_over_are_not_handed_out() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let (taken, added) = key.granted(ticket, 996, 60);
    assert_eq!((taken.cost, added, key.wasted), (1, 0, 3));
    // From here on the window is known.
    let ticket = key.asks(1);
    assert_eq!(key.granted(ticket, 992, 60).1, 3);
}

#[test]
fn a_denial_that_may_be_of_the_window_before_is_not_remembered() {
    let mut key = Key::new();
    let ticket = key.asks(4);
    let Refusal::Denied { until } = key.refused(ticket, 60) else {
        panic!("more was asked for");
    };
    assert!(until <= key.now + Nanos::SECOND);
    let _ = key.asks(4);
}

#[test]
fn a_denial_lasts_until_the_window_ends() {
    let mut key = Key::new();
    let ticket = key.asks(4);
    let until = START + MS * 5 + Nanos::from_secs(40);
    assert_eq!(key.refused(ticket, 40), Refusal::Denied { until });
    key.now = until - Nanos::new(1);
    assert_eq!(key.take(4), Take::Denied { until });
    key.now = until;
    let _ = key.asks(4);
}

#[test]
fn tokens_of_another_window_are_not_returned() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let (taken, _) = key.granted(ticket, 996, 40);
    key.now = START + Nanos::from_secs(70);
    let ticket = key.asks(1);
    key.granted(ticket, 996, 30);
    let tokens = key.lease.tokens;
    let step = LEASES.give_back(key.lease, taken, key.now);
    key.step(step);
    assert_eq!(key.lease.tokens, tokens);
}

/// In the last second of a window each request asks for itself, so that none waits in vain.
#[test]
fn nobody_waits_for_a_lease_that_is_dead_when_it_comes() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 996, 1);
    let one = key.asks(1);
    let other = key.asks(1);
    assert_eq!((one.hits, other.hits), (1, 1));
    key.granted(one, 995, 1);
    key.granted(other, 994, 60);
    let marked = key.asks(1);
    assert!(matches!(key.take(1), Take::WaitForOther { .. }));
    assert!(key.granted(marked, 990, 60).1 > 0);
}

#[test]
fn a_service_without_windows_is_asked_each_time() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    let unknown = Answer {
        life: Life::Unknown,
        unit: None,
        remaining: None,
        limit: None,
    };
    let step = LEASES.granted(key.lease, ticket, unknown, key.now);
    assert_eq!(key.step(step).added, 0);
    assert_eq!(key.asks(1).hits, 1);
    assert_eq!(key.asks(1).hits, 1);
}
