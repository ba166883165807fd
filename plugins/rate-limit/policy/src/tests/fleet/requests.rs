//! One limit: leases, the mode `each`, and waiting.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::fleet::lease::End;

#[test]
fn a_request_without_tokens_waits_for_the_service() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    let waiting = fleet.send("a");
    assert!(waiting.is_pending() && !waiting.is_denied());
    assert_eq!(waiting.deadline(), Some(fleet.now + Nanos::from_millis(50)));
    assert_eq!(fleet.calls.len(), 1);
    // Nothing has changed: it goes on waiting.
    let waiting = fleet.resume(waiting);
    assert!(waiting.is_pending());
    fleet.answer();
    let passed = fleet.resume(waiting);
    assert!(!passed.is_pending());
    assert_eq!(decisions(&passed), [Decision::Admitted]);
    assert_eq!(fleet.service.calls, [[("k=a".to_owned(), 1)]]);
}

#[test]
fn most_requests_of_a_busy_key_need_no_call() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    fleet.service.limits.insert("k".to_owned(), 10_000);
    assert_eq!(fleet.admitted(1_000, "a"), 1_000);
    let calls = fleet.service.calls.len();
    assert!(calls < 300, "{calls}");
}

#[test]
fn a_limit_admits_what_the_service_grants() {
    for config in [limit("k", json!({})), each("k")] {
        let mut fleet = Fleet::new(with_services(vec![config]));
        assert_eq!(fleet.admitted(150, "a"), 100);
        assert_eq!(fleet.admitted(150, "b"), 100);
        let denied = fleet.finish("a");
        assert_eq!(decisions(&denied), [Decision::Denied(Reason::RateLimited)]);
        // The window ends after the minute, which began at START.
        let reply = fleet.policy.reply(&denied, 0).unwrap();
        let wait: u64 = text(&reply.headers[0].1).parse().unwrap();
        let rest = 60 - (fleet.now - START).floor_secs();
        assert!((rest - 1..=rest + 2).contains(&wait), "{wait} of {rest}");
        fleet.now += Nanos::from_secs(wait);
        assert!(fleet.admits("a"));
    }
}

#[test]
fn a_denial_is_remembered() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    fleet.admitted(101, "a");
    let calls = fleet.service.calls.len();
    let cached = |fleet: &Fleet| {
        fleet.events(|event| match event {
            FleetEvent::CachedDenial => Some(1),
            _ => None,
        })
    };
    let before = cached(&fleet);
    assert_eq!(fleet.admitted(100, "a"), 0);
    assert_eq!(fleet.service.calls.len(), calls);
    assert_eq!(cached(&fleet), before + 100);
}

#[test]
fn the_ages_of_leases_are_counted() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    fleet.admitted(50, "a");
    fleet.now += Nanos::from_secs(120);
    fleet.admitted(1, "a");
    let ages = |why| {
        let events = fleet.host.events.iter();
        let ages = events.filter_map(move |(_, event)| match event {
            FleetEvent::Ended(ended) if ended.why == why => Some(ended.age_ms),
            _ => None,
        });
        ages.collect::<Vec<_>>()
    };
    // All requests came within a second, and the last lease died with its window.
    let used = [ages(End::UsedUp), ages(End::Renewed)].concat();
    assert!(
        used.len() > 3 && used.iter().all(|age| *age < 1_000),
        "{used:?}"
    );
    let expired = ages(End::Expired);
    assert!(matches!(expired[..], [10_000..60_000]), "{expired:?}");
}

#[test]
fn every_request_calls_in_the_mode_each() {
    let mut fleet = Fleet::new(with_services(vec![each("k")]));
    assert_eq!(fleet.admitted(101, "a"), 100);
    assert_eq!(fleet.service.calls.len(), 101);
}

#[test]
fn others_wait_for_the_call_of_the_first() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    let first = fleet.send("a");
    let second = fleet.send("a");
    assert_eq!(fleet.calls.len(), 1);
    assert!(second.is_pending() && second.waits_for_others());
    fleet.answer();
    assert!(!fleet.resume(first).is_pending());
    // The first call was for one hit, so the second request makes its own.
    let second = fleet.resume(second);
    assert!(second.is_pending() && !second.waits_for_others());
    fleet.answer();
    assert_eq!(decisions(&fleet.resume(second)), [Decision::Admitted]);
}

#[test]
fn a_refused_lease_is_asked_for_again_with_the_cost_alone() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    fleet.service.compares_first = true;
    assert!(fleet.admits("a"));
    // Other proxies leave room for one.
    fleet.service.limits.insert("k".to_owned(), 2);
    let waiting = fleet.send("a");
    let deadline = waiting.deadline();
    fleet.answer();
    let [(_, refused)] = fleet.service.calls[1][..] else {
        panic!("{:?}", fleet.service.calls);
    };
    assert!(refused > 1);
    let waiting = fleet.resume(waiting);
    assert!(waiting.is_pending());
    assert_eq!(waiting.deadline(), deadline);
    fleet.answer();
    assert_eq!(fleet.service.calls[2], [("k=a".to_owned(), 1)]);
    assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted]);
}

/// A client goes before its request has made the smaller call: the next request makes its own.
#[test]
fn a_smaller_call_that_is_not_made_blocks_nobody() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    fleet.service.compares_first = true;
    assert!(fleet.admits("a"));
    fleet.service.limits.insert("k".to_owned(), 2);
    let mut waiting = fleet.send("a");
    fleet.answer();
    fleet.cancel(&mut waiting);
    let next = fleet.send("a");
    assert!(next.is_pending() && !next.waits_for_others());
}

/// The table cannot be written when the answer arrives: the request passes, and the other tokens are lost.
#[test]
fn a_grant_without_a_table_is_for_the_request_alone() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    assert!(fleet.admits("a"));
    let waiting = fleet.send("a");
    fleet.store.updates_left = 0;
    fleet.answer();
    fleet.store.updates_left = u32::MAX;
    let asked = fleet.service.calls[1][0].1;
    assert!(asked > 1);
    assert_eq!(fleet.wasted(), asked - 1);
    assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted]);
}

/// The time of a request is for all its calls together.
#[test]
fn no_call_is_made_when_the_time_is_over() {
    let mut fleet = Fleet::new(with_services(vec![limit(
        "k",
        json!({"on_outage": "deny"}),
    )]));
    fleet.service.compares_first = true;
    assert!(fleet.admits("a"));
    fleet.service.limits.insert("k".to_owned(), 2);
    let waiting = fleet.send("a");
    fleet.answer();
    fleet.now += Nanos::from_millis(49);
    let denied = fleet.resume(waiting);
    // The service is there, and has little left.
    assert_eq!(decisions(&denied), [Decision::Denied(Reason::RateLimited)]);
    assert!(fleet.calls.is_empty());
    // The next request does not have to wait for a call that was not made.
    assert!(fleet.admits("a"));
}

#[test]
fn when_the_time_is_over_on_outage_decides() {
    for (on_outage, expected) in [
        ("local", Decision::Admitted),
        ("allow", Decision::Uncounted),
        ("deny", Decision::Denied(Reason::Unavailable)),
    ] {
        for mode in ["each", "lease"] {
            let config = json!({"mode": mode, "on_outage": on_outage});
            let mut fleet = Fleet::new(with_services(vec![limit("k", config)]));
            let waiting = fleet.send("a");
            fleet.now += Nanos::from_millis(49);
            let waiting = fleet.resume(waiting);
            assert!(waiting.is_pending());
            fleet.now += Nanos::from_millis(1);
            let decided = fleet.resume(waiting);
            assert!(!decided.is_pending());
            assert_eq!(decisions(&decided), [expected], "{mode}");
            assert_eq!(
                fleet.policy.reply(&decided, 0).map(|it| it.status),
                (on_outage == "deny").then_some(503)
            );
            // It is no error of the tables.
            assert!(!decided.checks()[0].is_error());
        }
    }
}

/// An answer that comes too late is not lost: the lease gets its tokens.
#[test]
fn a_late_answer_serves_other_requests() {
    let mut fleet = Fleet::new(with_services(vec![limit(
        "k",
        json!({"on_outage": "deny"}),
    )]));
    assert!(fleet.admits("a"));
    let waiting = fleet.send("a");
    assert!(waiting.is_pending());
    let hits = fleet.service.calls.len();
    fleet.now += Nanos::from_millis(50);
    assert!(fleet.resume(waiting).is_denied());
    fleet.answer();
    assert_eq!(fleet.service.calls.len(), hits + 1);
    assert_eq!(decisions(&fleet.send("a")), [Decision::Admitted]);
    assert!(fleet.calls.is_empty());
}

#[test]
fn a_request_that_has_gone_gives_back() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    assert!(fleet.admits("a"));
    // Before the answer.
    let mut waiting = fleet.send("a");
    fleet.cancel(&mut waiting);
    fleet.answer();
    assert_eq!(fleet.returned(), 1);
    let next = fleet.send("a");
    assert_eq!(decisions(&next), [Decision::Admitted]);
    assert!(!next.is_pending());
    // After it.
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    assert!(fleet.admits("a"));
    let mut waiting = fleet.send("a");
    fleet.answer();
    fleet.cancel(&mut waiting);
    assert_eq!(fleet.returned(), 1);
    assert!(!fleet.send("a").is_pending());
    // A second time changes nothing.
    fleet.cancel(&mut waiting);
    assert_eq!(fleet.returned(), 1);
}

#[test]
fn an_answer_counts_once() {
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({}))]));
    assert!(fleet.admits("a"));
    let waiting = fleet.send("a");
    let call = Arc::clone(&fleet.calls[0]);
    let answer = fleet.service.answer(call.message(), fleet.now);
    fleet.report(&call, Some(&answer));
    fleet.report(&call, Some(&answer));
    fleet.report(&call, None);
    assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted]);
    let asked = fleet.service.count("k=a", fleet.now);
    let taken = fleet.events(|event| match event {
        FleetEvent::Taken(hits) => Some(hits),
        _ => None,
    });
    assert_eq!(taken, asked);
    let mut passed = 2;
    while !fleet.send("a").is_pending() {
        passed += 1;
    }
    assert_eq!(passed, asked);
}

#[test]
fn a_request_without_cost_asks_nobody() {
    for mut config in [limit("k", json!({})), each("k")] {
        config["cost"] = json!({"header": "x-cost"});
        let mut fleet = Fleet::new(with_services(vec![config]));
        let free = fleet.send_with(&[("x-api-key", "a"), ("x-cost", "0")]);
        assert_eq!(decisions(&free), [Decision::Admitted]);
        assert!(fleet.calls.is_empty());
        let large = fleet.send_with(&[("x-api-key", "a"), ("x-cost", "101")]);
        assert_eq!(decisions(&large), [Decision::Denied(Reason::CostTooLarge)]);
        assert!(fleet.calls.is_empty());
    }
}

#[test]
fn a_full_worker_does_not_let_requests_wait() {
    for config in [limit("k", json!({})), each("k")] {
        let mut fleet = Fleet::new(with_services(vec![config]));
        fleet.host.is_full[0] = true;
        assert_eq!(decisions(&fleet.send("a")), [Decision::Admitted]);
        assert!(fleet.calls.is_empty());
    }
}

#[test]
fn a_service_with_too_many_calls_does_not_stop_another_one() {
    for mode in ["lease", "each"] {
        let of = |name, service| limit(name, json!({"mode": mode, "service": service}));
        let mut fleet = Fleet::new(with_services(vec![of("k", "main"), of("l", "other")]));
        fleet.host.is_full[0] = true;
        let waiting = fleet.send("a");
        fleet.answer();
        assert_eq!(fleet.service.calls, [[("l=a".to_owned(), 1)]]);
        assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted; 2]);
        let outages = fleet.host.events.iter();
        let outages = outages.filter(|(_, event)| matches!(event, FleetEvent::Outage(_)));
        let limits: Vec<_> = outages.map(|(limit, _)| limit.index()).collect();
        assert_eq!(limits, [0]);
    }
}

#[test]
fn in_shadow_no_request_waits() {
    for mode in ["lease", "each"] {
        let mut config = limit("k", json!({"mode": mode}));
        config["mode"] = json!("shadow");
        let of_limit = with_services(vec![config]);
        let mut of_policy = with_services(vec![limit("k", json!({"mode": mode}))]);
        of_policy["mode"] = json!("shadow");
        for config in [of_limit, of_policy] {
            let mut fleet = Fleet::new(config);
            for _ in 0..150 {
                let passed = fleet.send("a");
                assert!(!passed.is_pending() && !passed.is_denied());
                fleet.answer();
            }
            let denied = matches!(
                decisions(&fleet.send("a"))[..],
                [Decision::ShadowDenied(Reason::RateLimited)]
            );
            assert_eq!(denied, mode == "lease");
            let counted = fleet.service.count("k=a", fleet.now);
            assert!(counted >= 100, "{counted}");
        }
    }
}
