//! The wall clocks of proxies are wrong. Only durations count, so they share a limit all the same.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_envoy_tests::fleet::{Fleet, sleep_until_next_window, window_at, within_a_window};
use portcullis_envoy_tests::message::Response;

use super::plugin::{Limit, SECONDS, admitted, assert_no_vm_failed};
use super::{MINUTE, with_key};

/// Of one Envoy each, in seconds. After a shift by just a minute, an Envoy that aligned windows with its own clock would
/// begin them at the right time, and nobody would notice.
const SHIFTS: [i64; 3] = [0, 75, -75];
const LIMIT: u32 = 1000;
/// What each Envoy gets. Together, they get more than the limit.
const REQUESTS: usize = 600;

fn send(fleet: &Fleet, envoy: usize, key: &str) -> Response {
    fleet.envoys()[envoy].client().send(&with_key(key))
}

/// The least that may be admitted: each Envoy can keep a lease, and one refused call is lost.
fn least(limit: &Limit) -> usize {
    most(limit) - (SHIFTS.len() + 1) * limit.largest_lease()
}

fn most(limit: &Limit) -> usize {
    usize::try_from(limit.requests).expect("a small number")
}

/// The number in a header.
fn number(response: &Response, header: &str) -> i64 {
    let value = response.header(header).unwrap_or_default();
    let number = value.parse();
    number.unwrap_or_else(|_| panic!("{header} is {value:?} in {response:?}"))
}

/// Checks that Envoy's wall clock is off as it should be.
fn assert_clock(envoy: usize, response: &Response) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_secs();
    let shift = number(response, SECONDS) - i64::try_from(now).expect("a time");
    let error = shift - SHIFTS[envoy];
    assert!((-2..=1).contains(&error), "the clock is off by {shift} s");
}

/// Checks that Envoy knows how much is left of the service's window.
fn assert_reset(envoy: usize, response: &Response) {
    let left = window_at(MINUTE).1.as_secs();
    let left = i64::try_from(left).expect("a part of a minute");
    let reset = number(response, "x-ratelimit-reset");
    // A denial may last two seconds longer than its window.
    assert!(
        (left - 1..=left + 3).contains(&reset),
        "{left} s are left, and Envoy {envoy} says {reset} s"
    );
}

fn assert_bounds(mode: &'static str) {
    let limit = Limit::new(LIMIT, mode);
    let Some(fleet) = limit.fleet_with_clocks(&SHIFTS) else {
        return;
    };
    let mut attempt = 0;

    let statuses = within_a_window(MINUTE, || {
        attempt += 1;
        let key = attempt;
        let statuses = fleet.send(REQUESTS, move |_| with_key(key));
        for envoy in 0..SHIFTS.len() {
            let passed = send(&fleet, envoy, &format!("new-{attempt}-{envoy}"));
            let denied = send(&fleet, envoy, &attempt.to_string());
            assert_eq!((passed.status, denied.status), (200, 429));
            assert_clock(envoy, &passed);
            assert_reset(envoy, &passed);
            assert_reset(envoy, &denied);
        }
        statuses
    });

    let admitted = admitted(&statuses, 429);
    let bounds = least(&limit)..=most(&limit);
    assert!(bounds.contains(&admitted), "{admitted} not in {bounds:?}");
    assert_no_vm_failed(&fleet);
}

#[test]
fn clocks_make_no_difference_with_each() {
    assert_bounds("each");
}

#[test]
fn clocks_make_no_difference_with_leases() {
    assert_bounds("lease");
}

/// What is left of leases when the service's window ends is not used in the next one.
#[test]
fn leases_die_with_the_services_window() {
    /// Enough for the requests before the end.
    const MARGIN: Duration = Duration::from_secs(6);
    let limit = Limit::new(LIMIT, "lease");
    let Some(fleet) = limit.fleet_with_clocks(&SHIFTS) else {
        return;
    };
    if window_at(MINUTE).1 < MARGIN {
        sleep_until_next_window(MINUTE);
    }
    let (window, rest) = window_at(MINUTE);
    thread::sleep(rest.saturating_sub(MARGIN));

    let before = admitted(&fleet.send(60, |_| with_key("a")), 429);
    let counter = format!("INCRBY edge_api_key_a_{} 0", window * MINUTE);
    let granted = fleet.redis().command(&counter);
    assert_eq!(window_at(MINUTE).0, window, "the requests took too long");
    sleep_until_next_window(MINUTE);
    let mut after = 0;
    for envoy in 0..SHIFTS.len() {
        let calls = fleet.service().calls();
        after += usize::from(send(&fleet, envoy, "a").status == 200);
        assert_ne!(fleet.service().calls(), calls, "Envoy {envoy} has a lease");
    }
    after += admitted(&fleet.send(REQUESTS, |_| with_key("a")), 429);

    let granted: usize = granted.trim_start_matches(':').parse().expect("a number");
    assert!(granted > before, "no Envoy had a lease");
    let bounds = least(&limit)..=most(&limit);
    assert!(bounds.contains(&after), "{after} is not in {bounds:?}");
    assert_no_vm_failed(&fleet);
}
