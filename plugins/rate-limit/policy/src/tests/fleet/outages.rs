//! A service that comes and goes.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::CallResult;
use crate::fleet::config::OnOutage;
use crate::fleet::outage::Health;
#[cfg(not(target_arch = "wasm32"))]
use crate::{fleet_limits::Counted, limiter::Action};

/// Lets the service fail until it is out.
fn break_service(fleet: &mut Fleet) {
    for _ in 0..3 {
        let waiting = fleet.send("x");
        fleet.fail();
        assert!(
            !fleet
                .resume_with(&[("x-api-key", "x")], waiting)
                .is_pending()
        );
    }
}

#[test]
fn while_the_service_is_out_no_request_waits() {
    for mode in ["each", "lease"] {
        let config = limit("k", json!({"mode": mode}));
        let mut fleet = Fleet::new(with_services(vec![config]));
        break_service(&mut fleet);
        for _ in 0..10 {
            assert_eq!(decisions(&fleet.send("a")), [Decision::Admitted]);
        }
        assert!(fleet.calls.is_empty());
        let local = fleet.events(|event| match event {
            FleetEvent::Outage(OnOutage::Local) => Some(1),
            _ => None,
        });
        assert_eq!(local, 13);
        // One probe at a time.
        fleet.now += Nanos::from_millis(500);
        let probe = fleet.send("a");
        assert!(probe.is_pending());
        assert!(!fleet.send("b").is_pending());
        assert_eq!(fleet.calls.len(), 1);
        fleet.answer();
        assert!(!fleet.resume(probe).is_denied());
        assert!(fleet.send("b").is_pending());
    }
}

/// One proxy, one window: neither the way out nor the way back admits more than the limit.
#[test]
fn an_outage_admits_no_burst() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    assert_eq!(fleet.admitted(40, "a"), 40);
    break_service(&mut fleet);
    // First the tokens of the lease, then what the local limiter adds to them.
    let mut during = 0;
    for _ in 0..200 {
        let evaluation = fleet.send("a");
        assert!(!evaluation.is_pending());
        during += u32::from(!evaluation.is_denied());
    }
    assert!((40..=60).contains(&during), "{during}");
    fleet.now += Nanos::from_millis(500);
    // The first call brings what the service has missed.
    let after = fleet.admitted(200, "a");
    assert!(40 + during + after <= 100, "{during} {after}");
    assert!(fleet.service.count("k=a", fleet.now) >= 100);
    fleet.now += Nanos::from_secs(62);
    assert_eq!(fleet.admitted(200, "a"), 100);
}

/// What GCRA refills, and the largest burst that it may have, is no part of the service's window.
#[test]
fn an_outage_admits_the_rest_of_the_window_with_any_algorithm() {
    for algorithm in ALGORITHMS {
        let mut fleet = large(algorithm);
        fleet.now += Nanos::from_secs(5);
        assert_eq!(fleet.admitted(900, "a"), 900);
        break_service(&mut fleet);
        let mut admitted = [0; 3];
        while fleet.now < START + Nanos::from_secs(180) {
            // The service stays out.
            for _ in 0..20 {
                let evaluation = fleet.send_in_vain();
                let window = (fleet.now - START).floor_secs() / 60;
                admitted[usize::try_from(window).unwrap()] += u32::from(!evaluation.is_denied());
            }
            fleet.now += Nanos::from_millis(100);
        }
        let [first, second, third] = admitted;
        assert_eq!(first, 100, "{algorithm}");
        assert!(
            second <= 1_000 && third <= 1_000,
            "{algorithm}: {admitted:?}"
        );
        // The previous window fades, and the last moments of a window count in the next one as well.
        let least = if algorithm == "sliding_window" {
            400
        } else {
            900
        };
        assert!(second >= least, "{algorithm}: {admitted:?}");
    }
}

#[test]
fn a_denial_in_an_outage_lasts_until_the_window_ends() {
    let mut fleet = large("gcra");
    fleet.now += Nanos::from_secs(5);
    assert_eq!(fleet.admitted(990, "a"), 990);
    break_service(&mut fleet);
    let mut admitted = 0;
    while !fleet.send("a").is_denied() {
        admitted += 1;
    }
    assert_eq!(admitted, 10);
    // What GCRA has refilled meanwhile does not help.
    fleet.now = START + Nanos::from_secs(30);
    fleet.host.states[0] = out(fleet.now);
    let denied = fleet.send("a");
    assert_eq!(decisions(&denied), [Decision::Denied(Reason::RateLimited)]);
    let quota = denied.checks()[0].quota.unwrap();
    assert_eq!((quota.capacity, quota.remaining), (1_000, 0));
    let reply = fleet.policy.reply(&denied, 0).unwrap();
    let wait: u64 = text(&reply.headers[0].1).parse().unwrap();
    assert!((30..=32).contains(&wait), "{wait}");
    fleet.now += Nanos::from_secs(wait);
    fleet.host.states[0] = out(fleet.now);
    assert!(!fleet.send("a").is_denied());
}

/// The headers of what passes show what is left, too.
#[test]
fn the_rest_of_the_window_is_shown() {
    let mut fleet = large("gcra");
    fleet.now += Nanos::from_secs(5);
    assert_eq!(fleet.admitted(990, "a"), 990);
    break_service(&mut fleet);
    fleet.now = START + Nanos::from_secs(50);
    fleet.host.states[0] = out(fleet.now);
    let mut left = Vec::new();
    loop {
        let evaluation = fleet.send("a");
        if evaluation.is_denied() {
            break;
        }
        left.extend(evaluation.checks()[0].quota.map(|quota| quota.remaining));
    }
    let expected: Vec<u32> = (0..10).rev().collect();
    assert_eq!(left, expected);
}

/// Workers that find no room any more return what the local limiter has counted for them.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn workers_share_the_rest_of_the_window() {
    let with_burst = || {
        let mut limit = large_limit("gcra");
        limit["burst"] = json!(5_000);
        Fleet::new(with_services(vec![limit]))
    };
    for _ in 0..20 {
        let mut known = with_burst();
        known.service.limits.insert("k".to_owned(), 1_000);
        known.now += Nanos::from_secs(5);
        assert_eq!(known.admitted(950, "a"), 950);
        break_service(&mut known);
        // The tokens of the lease, and one of the local limiter, which has taken over then.
        assert!((0..4).all(|_| !known.send("a").is_denied()));
        let (now, state) = (known.now, out(known.now));
        let admitted = known.store.race(8, |_, store| {
            let mut fleet = with_burst();
            (fleet.store, fleet.now) = (store, now);
            fleet.host.states[0].clone_from(&state);
            let passed = (0..30).filter(|_| !fleet.send("a").is_denied());
            u32::try_from(passed.count()).unwrap()
        });
        assert_eq!(admitted.into_iter().sum::<u32>(), 50 - 4);
        let counted = Counted {
            limit: LimitId(0),
            key: known.key(LimitId(0), "a"),
            cost: 0,
            requests: 1_000,
        };
        let (policy, store) = (&known.policy, &mut known.store);
        let left = policy.check_local(counted, Action::Inspect, now, store);
        assert_eq!(left.quota.unwrap().remaining, 5_000 - 1_000);
    }
}

/// The health of a service that has just failed.
fn failed(now: Nanos) -> Health {
    (0..3).fold(Health::default(), |health, _| health.failed(now, 0, now))
}

/// The state of a service that will not be asked at this time.
fn out(now: Nanos) -> Vec<u8> {
    encoded(failed(now))
}

fn encoded(health: Health) -> Vec<u8> {
    let state = ServiceState {
        health,
        is_terse: false,
    };
    let mut bytes = Vec::new();
    let _ = ServiceState::edit(&mut bytes, |_| (state, ()));
    bytes
}

/// Each lost call hands the key over to the local limiter, and each answer takes it back: what the service has counted
/// is charged there only once.
#[test]
fn calls_that_are_lost_now_and_then_charge_nothing_twice() {
    for algorithm in ALGORITHMS {
        let mut fleet = large(algorithm);
        fleet.now += Nanos::from_secs(2);
        assert_eq!(fleet.admitted(650, "a"), 650);
        let mut passed = 650;
        for _ in 0..20 {
            fleet.now += Nanos::SECOND;
            // The tokens of the lease, and one more.
            let mut is_lost = false;
            while !is_lost {
                let mut evaluation = fleet.send("a");
                is_lost = evaluation.is_pending();
                if is_lost {
                    fleet.fail();
                    evaluation = fleet.resume(evaluation);
                }
                assert!(!evaluation.is_denied(), "{algorithm}");
                passed += 1;
            }
            assert!(fleet.admits("a"), "{algorithm}");
            passed += 1;
        }
        break_service(&mut fleet);
        while !fleet.send("a").is_denied() {
            passed += 1;
        }
        assert_eq!(passed, 1_000, "{algorithm}");
    }
}

/// What was admitted without the service is no debt if another limit denied the request.
#[test]
fn denied_requests_owe_nothing() {
    let limits = vec![limit("k", json!({})), local("all", 2)];
    let mut fleet = Fleet::new(with_services(limits));
    fleet.service.limits.insert("x".to_owned(), 100);
    let waiting = fleet.send("a");
    fleet.fail();
    assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted; 2]);
    let waiting = fleet.send("a");
    fleet.fail();
    fleet.resume(waiting);
    for _ in 0..5 {
        let waiting = fleet.send("a");
        assert!(!waiting.is_pending() && waiting.is_denied());
    }
    fleet.now += Nanos::from_millis(100);
    fleet.fail();
    // The local limit of another window; the debt of two comes with the next call.
    fleet.now += Nanos::from_secs(30);
    fleet.calls.clear();
    fleet.now += Nanos::from_secs(31);
    let waiting = fleet.send("a");
    assert!(waiting.is_pending());
    fleet.answer();
    let (_, hits) = fleet.service.calls[0][0].clone();
    assert_eq!(hits, 1 + 2);
}

/// A call that fails when its time is nearly over has run into the timeout: timers are not that exact.
#[test]
fn timeouts_and_errors_are_told_apart() {
    for (after, expected) in [
        (0, CallResult::Error),
        (30, CallResult::Error),
        (40, CallResult::Timeout),
        (60, CallResult::Timeout),
    ] {
        let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
        let waiting = fleet.send("a");
        fleet.now += Nanos::from_millis(after);
        fleet.fail();
        fleet.resume(waiting);
        let called = (LimitId(0), FleetEvent::Called(expected));
        assert!(fleet.host.events.contains(&called), "{after}");
    }
}

#[test]
fn garbage_is_a_failure() {
    for answer in [&b"\xff\xff"[..], b"", b"\x08\x07"] {
        let config = limit("k", json!({"on_outage": "deny"}));
        let mut fleet = Fleet::new(with_services(vec![config]));
        let waiting = fleet.send("a");
        let call = fleet.calls.remove(0);
        fleet.report(&call, Some(answer));
        let denied = fleet.resume(waiting);
        assert_eq!(decisions(&denied), [Decision::Denied(Reason::Unavailable)]);
    }
}

#[test]
fn an_outage_of_one_service_does_not_concern_the_other() {
    let other = limit("l", json!({"service": "other", "mode": "each"}));
    let mut fleet = Fleet::new(with_services(vec![each("k"), other]));
    for _ in 0..3 {
        let waiting = fleet.send("a");
        fleet.lose(0);
        fleet.answer();
        assert!(!fleet.resume(waiting).is_pending());
    }
    let waiting = fleet.send("a");
    assert_eq!(fleet.calls.len(), 1);
    fleet.answer();
    assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted; 2]);
}

/// A service that is out denies a request that would also have to ask another one: that one is not asked, and the next
/// request need not wait for it.
#[test]
fn a_denial_by_an_outage_makes_no_call() {
    for denying_first in [true, false] {
        let denying = limit(
            "l",
            json!({"service": "other", "mode": "each", "on_outage": "deny"}),
        );
        let mut limits = vec![limit("k", json!({})), denying];
        limits.rotate_left(denying_first.into());
        let mut fleet = Fleet::new(with_services(limits));
        // The probe of another worker is on its way: a copy of the state does not show it yet.
        fleet.now = START + Nanos::SECOND;
        let claimed = failed(START).claim(Nanos::SECOND, fleet.now).0;
        fleet.host.states[1] = encoded(claimed);
        fleet.host.copies[1] = Some(out(START));
        let denied = fleet.send("a");
        assert!(denied.is_denied());
        assert!(fleet.calls.is_empty());
        fleet.host.states[1].clear();
        fleet.host.copies[1] = None;
        let waiting = fleet.send("a");
        assert!(waiting.is_pending() && !waiting.waits_for_others());
    }
}

/// A failure of two of three limits: the third one's tokens stay if `on_outage` admits, and return if it denies.
#[test]
fn on_outage_is_part_of_all_or_nothing() {
    let denying = limit("l", json!({"service": "other", "on_outage": "deny"}));
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({})), denying]));
    let waiting = fleet.send("a");
    fleet.lose(1);
    fleet.answer();
    let denied = fleet.resume(waiting);
    assert_eq!(
        decisions(&denied),
        [Decision::Released, Decision::Denied(Reason::Unavailable)]
    );
    assert_eq!(fleet.returned() + fleet.wasted(), 1);
}
