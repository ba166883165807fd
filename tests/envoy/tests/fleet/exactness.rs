//! No window of the service admits more than the limit, and little stays unused.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_envoy_tests::fleet::{sleep_until_next_window, within_a_window};

use super::plugin::{Limit, admitted, assert_no_vm_failed};
use super::{MINUTE, with_key};

const LIMIT: u32 = 1000;
/// What each Envoy gets: more than the limit.
const REQUESTS: usize = 1_200;

fn sent(envoys: usize) -> u64 {
    u64::try_from(envoys * REQUESTS).expect("a small number")
}

/// What all Envoys together admit in one window, and the calls that they make.
fn hammer(envoys: usize, limit: &Limit) -> Option<(usize, u64)> {
    let fleet = limit.fleet(envoys)?;
    let mut attempt = 0;
    let mut calls = 0;
    let statuses = within_a_window(MINUTE, || {
        attempt += 1;
        let before = fleet.service().calls();
        let statuses = fleet.send(REQUESTS, move |_| with_key(attempt));
        calls = fleet.service().calls() - before;
        statuses
    });
    assert_no_vm_failed(&fleet);
    Some((admitted(&statuses, 429), calls))
}

/// The least and the most that may be admitted: each Envoy can keep a lease, and one refused call is lost.
fn bounds(envoys: usize, limit: &Limit) -> RangeInclusive<usize> {
    let most = usize::try_from(limit.requests).expect("a small number");
    most - (envoys + 1) * limit.largest_lease()..=most
}

fn assert_bounds(envoys: usize, mode: &'static str) {
    let limit = Limit::new(LIMIT, mode);
    let Some((admitted, calls)) = hammer(envoys, &limit) else {
        return;
    };
    let bounds = bounds(envoys, &limit);
    assert!(
        bounds.contains(&admitted),
        "{admitted} is not in {bounds:?}"
    );
    println!("{envoys} Envoys, {mode}: {admitted} of {LIMIT} admitted, {calls} calls");
    match mode {
        "each" => assert_eq!(calls, sent(envoys)),
        // At least five requests for a call, even for a key that is new and soon spent.
        _ => assert!(calls < u64::from(LIMIT) / 5, "{calls} calls"),
    }
}

#[test]
fn two_envoys_with_each() {
    assert_bounds(2, "each");
}

#[test]
fn four_envoys_with_each() {
    assert_bounds(4, "each");
}

#[test]
fn two_envoys_with_leases() {
    assert_bounds(2, "lease");
}

#[test]
fn four_envoys_with_leases() {
    assert_bounds(4, "lease");
}

/// Requests in the last seconds of a window and the first ones of the next: leases die with their window.
#[test]
fn a_window_ends_under_load() {
    const MARGIN: Duration = Duration::from_secs(8);
    let limit = Limit::new(LIMIT, "lease");
    let Some(fleet) = limit.fleet(2) else {
        return;
    };
    let is_next = AtomicBool::new(false);

    // In the first half of a window, so that the load can begin before its end.
    within_a_window(MINUTE, || fleet.send(1, |_| with_key("other")));
    let (before, after) = thread::scope(|scope| {
        let windows = scope.spawn(|| {
            sleep_until_next_window(MINUTE);
            is_next.store(true, Ordering::Relaxed);
        });
        thread::sleep(Duration::from_secs(MINUTE / 2) - MARGIN);
        let (mut before, mut after) = (0, 0);
        while !is_next.load(Ordering::Relaxed) {
            before += admitted(&fleet.send(50, |_| with_key("a")), 429);
        }
        windows.join().expect("no panic");
        let end = std::time::Instant::now() + MARGIN;
        while std::time::Instant::now() < end {
            after += admitted(&fleet.send(50, |_| with_key("a")), 429);
        }
        (before, after)
    });

    let (least, most) = bounds(2, &limit).into_inner();
    assert!((least..=most).contains(&after), "{after} afterwards");
    // The last requests before may have come after the end.
    assert!(
        before + after <= 2 * most,
        "{before} before, {after} afterwards"
    );
    assert!(before >= least, "{before} before");
    assert_no_vm_failed(&fleet);
}
