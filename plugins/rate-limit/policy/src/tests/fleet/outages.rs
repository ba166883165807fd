//! A service that comes and goes.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::CallResult;
use crate::fleet::config::OnOutage;
use crate::fleet::outage::Health;

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
        let bad = fleet.calls.remove(0);
        fleet.report(&bad, None);
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
        let out = |probes: u32| {
            let failed = Health::default().failed(START, 0, START);
            let health = failed.failed(START, 0, START).failed(START, 0, START);
            let claimed = health.claim(Nanos::SECOND, START + Nanos::SECOND).0;
            let health = if probes > 0 { claimed } else { health };
            let mut bytes = Vec::new();
            let state = ServiceState {
                health,
                is_terse: false,
            };
            let _ = ServiceState::edit(&mut bytes, |_| (state, ()));
            bytes
        };
        fleet.now = START + Nanos::SECOND;
        fleet.host.states[1] = out(1);
        fleet.host.copies[1] = Some(out(0));
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
    let bad = fleet.calls.remove(1);
    fleet.report(&bad, None);
    fleet.answer();
    let denied = fleet.resume(waiting);
    assert_eq!(
        decisions(&denied),
        [Decision::Released, Decision::Denied(Reason::Unavailable)]
    );
    assert_eq!(fleet.returned() + fleet.wasted(), 1);
}
