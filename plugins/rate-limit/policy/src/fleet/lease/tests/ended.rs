//! How long leases last.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::End;
use super::*;

/// A key that has just received three tokens, 40 s before the end of its window.
fn granted() -> Key {
    let mut key = Key::new();
    let ticket = key.asks(1);
    assert_eq!(key.granted(ticket, 996, 40).1, 3);
    key
}

fn ended(why: End, age_ms: u32) -> Ended {
    Ended { why, age_ms }
}

#[test]
fn a_lease_ends_with_its_last_token() {
    let mut key = granted();
    for _ in 0..3 {
        assert_eq!(key.ended, []);
        key.now += MS * 700;
        key.takes(1);
    }
    assert_eq!(key.ended, [ended(End::UsedUp, 2_100)]);
}

/// A costly request finds too few tokens, and they stay.
#[test]
fn a_lease_ends_with_the_next_grant() {
    let mut key = granted();
    key.now += MS * 300;
    let ticket = key.asks(10);
    key.granted(ticket, 980, 40);
    assert!(key.lease.tokens >= 3);
    assert_eq!(key.ended, [ended(End::Renewed, 305)]);
}

/// Long after: the age is the time that it could be used.
#[test]
fn a_lease_that_nobody_uses_lasts_until_its_window_ends() {
    let mut key = granted();
    let lasts = (key.lease.dies - key.now).get() / MS.get();
    key.now += Nanos::from_secs(3_600);
    let _ = key.take(1);
    assert_eq!(key.ended, [ended(End::Expired, lasts as u32)]);
    assert_eq!(key.wasted, 3);
}

#[test]
fn a_call_for_one_request_makes_no_lease() {
    let mut key = granted();
    key.now += Nanos::from_secs(3_600);
    let ticket = key.asks(50);
    key.ended.clear();
    let (_, added) = key.granted(ticket, 900, 40);
    assert_eq!(added, 0);
    key.now += MS;
    let _ = key.take(1);
    assert_eq!(key.ended, []);
}
