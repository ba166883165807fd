//! The service dies, is slow, answers garbage, comes back, and loses its counts.

use std::time::{Duration, Instant};

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::client::Client;
use portcullis_envoy_tests::fleet::{Fleet, within_a_window};
use portcullis_envoy_tests::patience::wait_until;
use portcullis_ratelimit_service::Fault;

use super::plugin::{Limit, admitted, assert_no_vm_failed};
use super::{MINUTE, with_key};

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
    let mut keys = 0..;
    wait_until(&format!("status {status}"), || {
        statuses(fleet, 0, 1, &format!("wait-{:?}", keys.next())) == [status]
    });
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
        let mut keys = 0..;
        wait_until("the service to count", || {
            statuses(
                fleet,
                envoy,
                1,
                &format!("counted-{envoy}-{:?}", keys.next()),
            );
            fleet.redis().command("DBSIZE") != ":0"
        });
    }
    fleet.redis().flush();
}

/// The time in which `gcra` refills a tenth of a limit.
const REFILL: Duration = Duration::from_secs(6);

/// Sends 50 requests with one key, by turns, and more than the limit with another one, and kills the service. Returns what
/// the Envoys then admit of many requests with the first key, and with the second one.
fn admitted_without_the_service(limit: &Limit) -> Option<[usize; 2]> {
    let fleet = limit.fleet(2)?;
    let mut attempt = 0;
    let (before, after) = within_a_window(MINUTE, || {
        // In the first second of a window, no answer is certain (docs/fleet.md), so an outage begins without counts.
        std::thread::sleep(Duration::from_secs(2));
        fleet.service().start_again();
        wait_until_counted(&fleet);
        attempt += 1;
        let keys = [format!("half-{attempt}"), format!("spent-{attempt}")];
        let by_turns = (0..50).map(|n| statuses(&fleet, n % 2, 1, &keys[0]));
        let before: Vec<Vec<u16>> = by_turns.collect();
        for envoy in 0..2 {
            statuses(&fleet, envoy, 110, &keys[1]);
        }
        fleet.service().kill();
        let send = |key: &String| {
            let key = key.clone();
            fleet.send(200, move |_| with_key(&key))
        };
        let mut after = keys.each_ref().map(send);
        std::thread::sleep(REFILL);
        for (statuses, key) in after.iter_mut().zip(&keys) {
            statuses.extend(send(key));
        }
        (before, after)
    });
    assert_eq!(admitted(&before, 429), 50);
    assert_no_vm_failed(&fleet);
    Some(after.map(|statuses| admitted(&statuses, 429)))
}

/// Leases remember what the service had counted, and the algorithm, which refills, admits no more than that.
#[test]
fn without_the_service_each_envoy_admits_the_rest() {
    let Some([half, spent]) = admitted_without_the_service(&limit("lease", "local")) else {
        return;
    };
    // Leases are part of the first 50.
    assert!((50..=2 * 50).contains(&half), "{half}");
    assert_eq!(spent, 0);
}

/// Without leases, an Envoy knows nothing about a key.
#[test]
fn without_the_service_each_envoy_admits_the_limit_with_each() {
    let limit = Limit {
        algorithm: "fixed_window",
        ..limit("each", "local")
    };
    let Some(admitted) = admitted_without_the_service(&limit) else {
        return;
    };
    let most = 2 * 100;
    assert!(
        admitted.iter().all(|admitted| *admitted <= most),
        "{admitted:?}"
    );
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

/// The service forgets the window and starts a new one: at most twice the limit.
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
