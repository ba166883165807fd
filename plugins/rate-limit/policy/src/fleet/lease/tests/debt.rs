//! What is admitted without the service.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn without_a_service_the_lease_is_used_up_first() {
    let mut key = Key::with_tokens(1);
    let step = LEASES.take(key.lease, 1, false, key.now, key.now);
    assert!(matches!(key.step(step), Take::Taken(_)));
    let step = LEASES.take(key.lease, 1, false, key.now, key.now);
    assert_eq!(key.step(step), Take::NoService);
}

#[test]
fn the_local_limiter_begins_with_what_is_used() {
    let mut key = Key::new();
    let ticket = key.asks(1);
    key.granted(ticket, 300, 40);
    let step = LEASES.go_local(key.lease, key.now);
    assert_eq!(key.step(step), Some(700));
    let step = LEASES.go_local(key.lease, key.now);
    assert_eq!(key.step(step), None);
}

#[test]
fn what_was_admitted_meanwhile_is_counted_when_the_service_returns() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.go_local(key.lease, key.now);
    assert_eq!(key.step(step), Some(100));
    for _ in 0..30 {
        let step = LEASES.owe(key.lease, 1, key.now);
        key.step(step);
    }
    let ticket = key.asks(1);
    assert_eq!(ticket.hits, 31);
    assert_eq!(key.granted(ticket, 500, 39).1, 0);
    assert_eq!(key.lease.owed, 0);
    assert_eq!(LEASES.go_local(key.lease, key.now).outcome, Some(500));
}

#[test]
fn a_debt_that_does_not_fit_denies_everything() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    let ticket = key.asks(5);
    assert!(matches!(key.refused(ticket, 39), Refusal::Denied { .. }));
    assert!(matches!(key.take(1), Take::Denied { .. }));
}

#[test]
fn a_debt_ends_with_its_window() {
    let mut key = Key::with_tokens(0);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    key.now = START + Nanos::from_secs(41);
    assert_eq!(key.asks(1).hits, 1);
}

/// The service's windows go on during an outage.
#[test]
fn a_debt_belongs_to_the_window_it_was_made_in() {
    let mut key = Key::with_tokens(0);
    key.now = START + Nanos::from_secs(70);
    let step = LEASES.owe(key.lease, 30, key.now);
    key.step(step);
    let lease = key.lease;
    key.now = START + Nanos::from_secs(99);
    assert_eq!(key.asks(1).hits, 31);
    key.lease = lease;
    key.now = START + Nanos::from_secs(101);
    assert_eq!(key.asks(1).hits, 1);
}
