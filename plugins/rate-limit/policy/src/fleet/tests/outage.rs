//! An outage begins, and ends with a probe.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fleet::outage::{Access, Health, OPENS_AFTER};
use portcullis_core::time::Nanos;
use portcullis_table::State as _;

pub(super) const TIMEOUT: Nanos = Nanos::from_millis(50);
/// The start of an hour.
pub(super) const START: Nanos = Nanos::from_secs(1_700_000_000 / 3_600 * 3_600);

fn out() -> Health {
    (0..OPENS_AFTER).fold(Health::default(), |health, _| {
        health.failed(START, 0, START)
    })
}

/// When the next call may be made.
fn next(health: Health, now: Nanos) -> Nanos {
    match health.access(now) {
        Access::No { until } => until,
        _ => now,
    }
}

#[test]
fn some_failures_in_a_row_are_an_outage() {
    let mut health = Health::default();
    for _ in 0..10 {
        for _ in 1..OPENS_AFTER {
            health = health.failed(START, 0, START);
        }
        assert_eq!(health.access(START), Access::Yes);
        health = health.succeeded(START);
    }
    let health = out();
    assert!(matches!(health.access(START), Access::No { .. }));
    assert_eq!(health.out_for(START + Nanos::SECOND), Some(Nanos::SECOND));
}

#[test]
fn one_probe_at_a_time_ends_an_outage() {
    let now = next(out(), START);
    let (health, is_claimed) = out().claim(TIMEOUT, now);
    assert!(is_claimed);
    assert!(!health.claim(TIMEOUT, now).1);
    assert_eq!(
        health.access(now),
        Access::No {
            until: now + TIMEOUT
        }
    );
    // A lost probe is replaced.
    assert!(health.claim(TIMEOUT, now + TIMEOUT).1);
    assert_eq!(health.succeeded(now), Health::default());
}

#[test]
fn probes_become_rarer() {
    let (mut health, mut now) = (out(), START);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let until = next(health, now);
        waits.push((until - now).ceil_millis());
        now = until;
        health = health.claim(TIMEOUT, now).0.failed(now, u64::MAX, now);
    }
    assert_eq!(waits[1..4], [500, 1_000, 2_000]);
    assert_eq!(waits[9], 10_000);
}

#[test]
fn calls_from_before_the_outage_say_nothing() {
    let before = START - Nanos::new(1);
    assert_eq!(out().succeeded(before), out());
    assert_eq!(out().failed(before, 0, START + Nanos::SECOND), out());
}

proptest! {
    #[test]
    fn every_health_has_its_bytes(low: u128, high: u64, more: u32) {
        let mut bytes = [0; 28];
        bytes[..16].copy_from_slice(&low.to_le_bytes());
        bytes[16..24].copy_from_slice(&high.to_le_bytes());
        bytes[24..].copy_from_slice(&more.to_le_bytes());
        prop_assert_eq!(Health::from_bytes(bytes).to_bytes(), bytes);
    }
}
