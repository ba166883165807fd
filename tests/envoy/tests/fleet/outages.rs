//! The service dies, is slow, answers garbage, comes back, and loses its counts.

use std::time::{Duration, Instant};

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::client::Client;
use portcullis_envoy_tests::fleet::{Fleet, within_a_window};
use portcullis_ratelimit_service::Fault;

use super::plugin::{Limit, admitted, assert_no_vm_failed};
use super::{MINUTE, with_key};

/// The longest time until a probe finds that the service is back, and more.
const BACK: Duration = Duration::from_secs(15);

fn limit(mode: &'static str, on_outage: &'static str) -> Limit {
    Limit {
        on_outage,
        ..Limit::new(100, mode)
    }
}

/// Sends requests one after the other over one connection.
fn statuses(fleet: &Fleet, envoy: usize, requests: usize, key: &str) -> Vec<u16> {
    let client = Client::http1(fleet.envoys()[envoy].address(PLAIN));
    let mut connection = client.connect();
    let request = with_key(key);
    (0..requests)
        .map(|_| connection.send(&request).status)
        .collect()
}

/// Waits until requests with new keys have this status.
fn wait_for(fleet: &Fleet, status: u16) {
    let started = Instant::now();
    for key in 0.. {
        let found = statuses(fleet, 0, 1, &format!("wait-{key}"));
        if found == [status] {
            return;
        }
        assert!(started.elapsed() < BACK, "the status is still {found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_dead_service_denies_until_it_is_back() {
    for mode in ["each", "lease"] {
        let Some(fleet) = limit(mode, "deny").fleet(2) else {
            return;
        };
        wait_for(&fleet, 200);

        fleet.service().kill();
        let meanwhile = statuses(&fleet, 0, 20, "new");
        fleet.service().start_again();

        assert_eq!(meanwhile, [503; 20], "{mode}");
        wait_for(&fleet, 200);
        assert_no_vm_failed(&fleet);
    }
}

#[test]
fn every_fault_is_an_outage_in_which_nobody_waits_long() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    const REQUESTS: usize = 50;
    for mode in ["each", "lease"] {
        let allowing = Limit {
            timeout: "200ms",
            ..limit(mode, "allow")
        };
        let Some(fleet) = allowing.fleet(1) else {
            return;
        };
        for fault in [
            Fault::Unavailable,
            Fault::Garbage,
            Fault::Silence,
            Fault::Delay(5 * TIMEOUT),
        ] {
            fleet.service().fail(fault);
            let calls = fleet.service().calls();
            let started = Instant::now();
            let found = statuses(&fleet, 0, REQUESTS, &format!("{fault:?}"));
            let taken = started.elapsed();
            let calls = fleet.service().calls() - calls;

            assert_eq!(found, [200; REQUESTS], "{mode}, {fault:?}");
            // Three failures begin the outage, and then there are probes only.
            assert!(calls < 10, "{mode}, {fault:?}: {calls} calls");
            assert!(taken < 20 * TIMEOUT, "{mode}, {fault:?}: {taken:?}");
            fleet.service().fail(Fault::None);
            wait_until_counted(&fleet);
        }
        assert_no_vm_failed(&fleet);
    }
}

/// Waits until the service counts for each Envoy, so that no outage lasts. Then it has counted nothing.
fn wait_until_counted(fleet: &Fleet) {
    for envoy in 0..fleet.envoys().len() {
        fleet.redis().flush();
        let started = Instant::now();
        for key in 0.. {
            statuses(fleet, envoy, 1, &format!("counted-{envoy}-{key}"));
            if fleet.redis().command("DBSIZE") != ":0" {
                break;
            }
            assert!(started.elapsed() < BACK, "the service counts nothing");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    fleet.redis().flush();
}

/// Each Envoy counts alone, and begins with what the service had counted.
#[test]
fn without_the_service_each_envoy_admits_the_rest() {
    let Some(fleet) = limit("each", "local").fleet(2) else {
        return;
    };
    let mut attempt = 0;

    let (before, after) = within_a_window(MINUTE, || {
        fleet.service().start_again();
        wait_until_counted(&fleet);
        attempt += 1;
        let key = format!("key-{attempt}");
        let pairs =
            (0..25).map(|_| [statuses(&fleet, 0, 1, &key), statuses(&fleet, 1, 1, &key)].concat());
        let before: Vec<Vec<u16>> = pairs.collect();
        fleet.service().kill();
        (before, fleet.send(200, move |_| with_key(&key)))
    });

    assert_eq!(admitted(&before, 429), 50);
    let after = admitted(&after, 429);
    // The first Envoy did not see the last hit.
    assert!((100..=101).contains(&after), "{after}");
    assert_no_vm_failed(&fleet);
}

#[test]
fn a_restart_admits_nothing_twice() {
    for mode in ["each", "lease"] {
        let Some(fleet) = limit(mode, "deny").fleet(2) else {
            return;
        };
        let mut attempt = 0;

        let statuses = within_a_window(MINUTE, || {
            attempt += 1;
            let mut statuses = Vec::new();
            for _ in 0..4 {
                statuses.extend(fleet.send(100, move |_| with_key(attempt)));
                fleet.service().kill();
                fleet.service().start_again();
            }
            statuses
        });

        let passed = statuses
            .concat()
            .iter()
            .filter(|status| **status == 200)
            .count();
        assert!(passed <= 100, "{mode}: {passed}");
        assert_no_vm_failed(&fleet);
    }
}

/// The service forgets the window, so it begins anew: at most twice the limit.
#[test]
fn a_flushed_redis_admits_at_most_the_limit_again() {
    for mode in ["each", "lease"] {
        let limit = limit(mode, "deny");
        let Some(fleet) = limit.fleet(2) else {
            return;
        };
        let mut attempt = 0;

        let (first, second) = within_a_window(MINUTE, || {
            attempt += 1;
            let key = move |_| with_key(attempt);
            let first = fleet.send(20, key);
            fleet.redis().flush();
            (first, fleet.send(200, key))
        });

        assert_eq!(admitted(&first, 429), 40, "{mode}");
        let second = admitted(&second, 429);
        let least = 100 - 3 * limit.largest_lease();
        // Leases from before are still used.
        let most = 100 + 2 * limit.largest_lease();
        assert!((least..=most).contains(&second), "{mode}: {second}");
        assert_no_vm_failed(&fleet);
    }
}
