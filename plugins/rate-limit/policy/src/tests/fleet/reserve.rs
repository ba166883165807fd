//! Services that hold amounts until they are committed.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::CommitResult;

const LIFE: Nanos = Nanos::from_secs(12);

fn leases() -> Fleet {
    Fleet::new(reserving(vec![limit("k", json!({"on_outage": "deny"}))]))
}

fn commits_with(fleet: &Fleet, wanted: CommitResult) -> usize {
    let events = fleet.host.events.iter();
    let is_wanted = |event: &&(LimitId, FleetEvent)| event.1 == FleetEvent::Committed(wanted);
    events.filter(is_wanted).count()
}

#[test]
fn what_is_not_used_returns_to_the_service() {
    let mut fleet = leases();
    assert!(fleet.admits("a"));
    let (count, held) = fleet.reserving.count("k=a", fleet.now);
    assert_eq!(count, 0);
    assert!(held > 1, "{held}");
    fleet.pass(LIFE);
    assert_eq!(fleet.reserving.count("k=a", fleet.now), (1, 0));
    assert_eq!((fleet.released(), fleet.wasted()), (held - 1, 0));
    assert_eq!(commits_with(&fleet, CommitResult::Ok), 1);
}

#[test]
fn all_of_a_limit_can_be_used() {
    let mut fleet = leases();
    assert_eq!(fleet.admitted(200, "a"), 100);
    let calls = fleet.reserving.reservations();
    assert!(calls < 40, "{calls} calls");
    fleet.pass(LIFE);
    assert_eq!(fleet.reserving.count("k=a", fleet.now), (100, 0));
    assert_eq!(fleet.wasted(), 0);
    // The next window.
    fleet.pass(Nanos::from_secs(60));
    assert_eq!(fleet.admitted(200, "a"), 100);
}

/// Another proxy gets what this one holds and does not use.
#[test]
fn an_idle_proxy_keeps_nothing() {
    let mut fleet = leases();
    assert_eq!(fleet.admitted(50, "a"), 50);
    fleet.pass(LIFE);
    let mut other = leases();
    other.now = fleet.now;
    other.reserving = fleet.reserving.clone();
    assert_eq!(other.admitted(200, "a"), 50);
}

#[test]
fn a_denial_is_short() {
    let mut fleet = leases();
    fleet.reserving.limit = 10;
    assert_eq!(fleet.admitted(20, "a"), 10);
    let calls = fleet.reserving.reservations();
    let denied = fleet.finish("a");
    let reply = fleet.policy.reply(&denied, 0).unwrap();
    let header = |name: &[u8]| {
        let header = reply.headers.iter().find(|(other, _)| other == name);
        header.map(|(_, value)| text(value))
    };
    assert_eq!(header(b"retry-after").as_deref(), Some("1"));
    assert_eq!(fleet.reserving.reservations(), calls);
    fleet.reserving.limit = 20;
    fleet.pass(Nanos::from_secs(2));
    assert_eq!(fleet.admitted(20, "a"), 10);
}

#[test]
fn a_dead_hold_is_not_used() {
    let mut fleet = leases();
    assert!(fleet.admits("a"));
    // No tick.
    fleet.now += Nanos::from_secs(30);
    assert!(fleet.send("a").is_pending());
    fleet.pass(Nanos::SECOND);
    // It was over, but what was used counts.
    assert_eq!(commits_with(&fleet, CommitResult::Expired), 1);
    assert_eq!(fleet.reserving.count("k=a", fleet.now).0, 4);
}

#[test]
fn a_commit_is_sent_again_and_then_owed() {
    let mut fleet = leases();
    assert_eq!(fleet.admitted(3, "a"), 3);
    fleet.now += LIFE;
    for attempt in 1..=3 {
        let commits = fleet.commits();
        let [(hold, message)] = &commits[..] else {
            panic!("{commits:?}");
        };
        assert!(!message.is_empty());
        fleet.committed(hold, None);
        assert_eq!(commits_with(&fleet, CommitResult::Error), attempt);
        assert!(fleet.commits().is_empty());
        fleet.now += Nanos::from_secs(2);
    }
    assert!(fleet.holds.is_empty());
    assert_eq!(commits_with(&fleet, CommitResult::GivenUp), 1);
    // The service is out after three failures; the next call brings what it has missed.
    fleet.now += Nanos::from_secs(10);
    assert!(fleet.admits("a"));
    fleet.pass(LIFE);
    assert_eq!(fleet.reserving.count("k=a", fleet.now), (4, 0));
}

#[test]
fn commits_wait_for_a_service_that_is_out() {
    let mut fleet = leases();
    assert!(fleet.admits("a"));
    for _ in 0..3 {
        let waiting = fleet.send("b");
        fleet.fail();
        fleet.resume_with(&[("x-api-key", "b")], waiting);
    }
    fleet.now += LIFE;
    // One probe at a time.
    let probe = fleet.send("b");
    assert!(probe.is_pending());
    assert!(fleet.commits().is_empty());
    assert_eq!(fleet.holds.len(), 1);
    fleet.answer();
    fleet.pass(Nanos::from_secs(2));
    assert_eq!(fleet.reserving.count("k=a", fleet.now).0, 1);
}

/// A commit would count in another window then.
#[test]
fn a_commit_is_forgotten_after_a_period() {
    let mut fleet = leases();
    assert!(fleet.admits("a"));
    fleet.pass(Nanos::SECOND);
    fleet.now += Nanos::from_secs(80);
    assert!(fleet.commits().is_empty());
    assert!(fleet.holds.is_empty());
    assert_eq!(commits_with(&fleet, CommitResult::GivenUp), 1);
}

/// The lease of a late answer cannot begin any more.
#[test]
fn a_late_answer_is_committed_at_once() {
    for is_awaited in [true, false] {
        let mut fleet = leases();
        let waiting = fleet.send("a");
        let late = fleet.calls.remove(0);
        let answer = fleet.answer_to(&late);
        fleet.now += Nanos::from_secs(20);
        let decided = match is_awaited {
            true => {
                fleet.report(&late, Some(&answer));
                fleet.resume(waiting)
            }
            false => {
                let decided = fleet.resume(waiting);
                fleet.report(&late, Some(&answer));
                decided
            }
        };
        assert_eq!(decided.is_denied(), !is_awaited);
        fleet.pass(Nanos::SECOND);
        let (_, actual, _) = fleet.reserving.commits[0];
        assert_eq!(actual, u32::from(is_awaited));
        assert_eq!((fleet.released(), fleet.wasted()), (4 - actual, 0));
    }
}

#[test]
fn each_request_reserves_and_commits_its_cost() {
    let mut fleet = Fleet::new(reserving(vec![each("k")]));
    assert_eq!(fleet.admitted(120, "a"), 100);
    assert_eq!(fleet.reserving.reservations(), 120);
    fleet.pass(Nanos::SECOND);
    assert_eq!(fleet.reserving.commits.len(), 100);
    assert_eq!(fleet.reserving.count("k=a", fleet.now), (100, 0));
    // The client goes before the answer.
    let mut waiting = fleet.send("b");
    fleet.cancel(&mut waiting);
    fleet.answer();
    fleet.pass(Nanos::SECOND);
    assert_eq!(fleet.reserving.count("k=b", fleet.now), (0, 0));
    assert_eq!(fleet.wasted(), 0);
}

#[test]
fn protocols_can_be_mixed() {
    let mut config = reserving(vec![
        limit("k", json!({})),
        limit("l", json!({"service": "other"})),
        limit("m", json!({})),
        local("all", 30),
    ]);
    config["services"]["other"]["protocol"] = json!("envoy");
    let mut fleet = Fleet::new(config);
    let waiting = fleet.send("a");
    let paths: Vec<String> = fleet.calls.iter().map(|call| call.path()).collect();
    let mut methods: Vec<&str> = paths.iter().filter_map(|it| it.split('/').nth(2)).collect();
    methods.sort_unstable();
    // An amount is for all descriptors of a call, so each limit has its own.
    assert_eq!(methods, ["Reserve", "Reserve", "ShouldRateLimit"]);
    fleet.answer();
    assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted; 4]);
    assert_eq!(fleet.admitted(100, "a"), 29);
    fleet.pass(LIFE);
    assert_eq!(fleet.reserving.count("k=a", fleet.now), (30, 0));
    assert_eq!(fleet.reserving.count("m=a", fleet.now), (30, 0));
    assert_eq!(fleet.wasted(), 0);
}

#[test]
fn a_descriptor_without_a_limit_is_not_limited() {
    let mut fleet = leases();
    for _ in 0..5 {
        let waiting = fleet.send("a");
        let call = fleet.calls.remove(0);
        fleet.report(&call, Some(b"\x08\x01"));
        assert!(!fleet.resume(waiting).is_denied());
        while !fleet.send("a").is_pending() {}
        fleet.fail();
        fleet.now += Nanos::from_millis(100);
    }
}

/// Nothing is held, so there is nothing to commit.
#[test]
fn a_descriptor_without_a_limit_is_not_committed() {
    for mode in ["lease", "each"] {
        let config = json!({"mode": mode, "on_outage": "deny"});
        let mut fleet = Fleet::new(reserving(vec![limit("k", config)]));
        for answer in [&b"\x08\x01"[..], b"\x08\x01\x12\x00"] {
            let waiting = fleet.send("a");
            let [call] = &std::mem::take(&mut fleet.calls)[..] else {
                panic!("{mode}");
            };
            fleet.report(call, Some(answer));
            assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted]);
            assert!(fleet.holds.is_empty());
            // The client goes before the answer.
            let mut gone = fleet.send("b");
            fleet.cancel(&mut gone);
            let [call] = &std::mem::take(&mut fleet.calls)[..] else {
                panic!("{mode}");
            };
            fleet.report(call, Some(answer));
            fleet.pass(Nanos::from_secs(30));
        }
        assert_eq!(fleet.reserving.commits, []);
        assert!(fleet.host.events.iter().all(|(_, event)| {
            !matches!(event, FleetEvent::Committed(_) | FleetEvent::Outage(_))
        }));
        // A lease is handed out without further calls.
        let waiting = fleet.send("c");
        let [call] = &std::mem::take(&mut fleet.calls)[..] else {
            panic!("{mode}");
        };
        fleet.report(call, Some(b"\x08\x01"));
        assert!(
            !fleet
                .resume_with(&[("x-api-key", "c")], waiting)
                .is_pending()
        );
        assert_eq!(fleet.send("c").is_pending(), mode == "each");
        // The service has a limit again.
        assert_eq!(fleet.admitted(200, "d"), 100);
    }
}

#[test]
fn garbage_is_a_failure() {
    for answer in [&b"\xff\xff"[..], b"", b"\x08\x07"] {
        let mut fleet = leases();
        let waiting = fleet.send("a");
        let call = fleet.calls.remove(0);
        fleet.report(&call, Some(answer));
        let denied = fleet.resume(waiting);
        assert_eq!(decisions(&denied), [Decision::Denied(Reason::Unavailable)]);
        assert!(fleet.holds.is_empty());
    }
}
