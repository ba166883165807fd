//! Several limits: a request counts under all of them or under none.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use portcullis_core::protobuf::Message;

use super::*;

const RATE_LIMITED: Decision = Decision::Denied(Reason::RateLimited);

/// A limit of the service `other`.
fn of_other(name: &str, mode: &str) -> Value {
    limit(name, json!({"service": "other", "mode": mode}))
}

#[test]
fn limits_of_one_service_are_one_call() {
    for mode in ["each", "lease"] {
        let mode = json!({"mode": mode});
        let limits = vec![
            limit("k", mode.clone()),
            local("all", 10),
            limit("l", mode),
            of_other("m", "each"),
        ];
        let mut fleet = Fleet::new(with_services(limits));
        let waiting = fleet.send("a");
        fleet.answer();
        assert_eq!(fleet.service.calls.len(), 2);
        let names = [("k=a".to_owned(), 1), ("l=a".to_owned(), 1)];
        assert_eq!(fleet.service.calls[0], names);
        assert_eq!(fleet.service.calls[1], [("m=a".to_owned(), 1)]);
        assert_eq!(decisions(&fleet.resume(waiting)), [Decision::Admitted; 4]);
    }
}

#[test]
fn a_local_denial_makes_no_call() {
    for mode in ["each", "lease"] {
        let mode = json!({"mode": mode});
        let limits = vec![limit("k", mode.clone()), local("all", 0), limit("l", mode)];
        let mut fleet = Fleet::new(with_services(limits));
        let denied = fleet.send("a");
        assert!(!denied.is_pending());
        assert_eq!(
            decisions(&denied),
            [Decision::Released, RATE_LIMITED, Decision::Released]
        );
        assert!(fleet.calls.is_empty());
    }
    // The mark of the call is gone: the next request asks at once.
    let mut posts = local("posts", 0);
    posts["match"] = json!({"methods": ["POST"]});
    let mut fleet = Fleet::new(with_services(vec![limit("k", json!({})), posts]));
    let headers = |method| [("x-api-key", "a"), (":method", method)];
    assert!(fleet.send_with(&headers("POST")).is_denied());
    let waiting = fleet.send_with(&headers("GET"));
    assert!(waiting.is_pending() && !waiting.waits_for_others());
}

#[test]
fn a_denial_by_a_service_gives_back_all() {
    let limits = vec![
        local("all", 30),
        limit("k", json!({})),
        of_other("l", "lease"),
    ];
    let mut fleet = Fleet::new(with_services(limits));
    fleet.service.limits.insert("l".to_owned(), 10);
    assert_eq!(fleet.admitted(40, "a"), 10);
    let used = fleet.service.count("k=a", fleet.now);
    assert!(used < 30, "{used}");
    // What the other two took is there again: the third limit's next window admits as many as they have left.
    assert!(fleet.returned() > 0);
    assert_eq!(fleet.wasted(), 0);
    let mut last = fleet.finish("a");
    assert_eq!(
        decisions(&last),
        [Decision::Released, Decision::Released, RATE_LIMITED]
    );
    // Another key of the service has 20 of the local limit left, the denied ones used nothing.
    fleet.service.limits.clear();
    assert_eq!(fleet.admitted(40, "b"), 20);
    fleet.cancel(&mut last);
}

#[test]
fn a_denial_in_the_mode_each_cannot_give_back() {
    let limits = vec![each("k"), of_other("l", "each")];
    let mut fleet = Fleet::new(with_services(limits));
    fleet.service.limits.insert("l".to_owned(), 0);
    assert!(!fleet.admits("a"));
    assert_eq!(fleet.service.count("k=a", fleet.now), 1);
    assert_eq!(fleet.wasted(), 1);
}

/// The first answer denies, the second has not arrived: the request does not wait for it.
#[test]
fn the_first_denial_decides() {
    let limits = vec![limit("k", json!({})), of_other("l", "lease")];
    let mut fleet = Fleet::new(with_services(limits));
    fleet.service.limits.insert("l".to_owned(), 0);
    let waiting = fleet.send("a");
    let late = fleet.calls.remove(0);
    fleet.answer();
    let denied = fleet.resume(waiting);
    assert_eq!(decisions(&denied), [Decision::Released, RATE_LIMITED]);
    // The late answer goes to the lease.
    let answer = fleet.service.answer(late.message(), fleet.now);
    fleet.report(&late, Some(&answer));
    assert_eq!(fleet.returned() + fleet.wasted(), 1);
}

#[test]
fn a_client_that_goes_while_it_waits_uses_nothing() {
    let limits = vec![
        local("all", 1),
        limit("k", json!({})),
        of_other("l", "lease"),
    ];
    let mut fleet = Fleet::new(with_services(limits));
    let mut waiting = fleet.send("a");
    assert_eq!(fleet.calls.len(), 2);
    // Meanwhile the reservation stands.
    assert_eq!(decisions(&fleet.send("b"))[0], RATE_LIMITED);
    fleet.cancel(&mut waiting);
    fleet.answer();
    assert!(fleet.admits("b"));
}

#[test]
fn a_service_without_statuses_is_asked_about_one_limit_at_a_time() {
    let limits = vec![each("k"), each("l")];
    let mut fleet = Fleet::new(with_services(limits));
    fleet.service.is_terse = true;
    assert!(fleet.admits("a"));
    assert_eq!(fleet.service.calls.len(), 1);
    fleet.service.limits.insert("l".to_owned(), 1);
    let denied = fleet.finish("a");
    assert_eq!(fleet.service.calls.len(), 3);
    assert_eq!(decisions(&denied), [Decision::Released, RATE_LIMITED]);
}

/// A limit of all clients, by a constant.
fn of_all(name: &str, mode: &str) -> Value {
    let mut limit = limit(name, json!({"mode": mode}));
    limit["key"] = json!([{"constant": "all"}]);
    limit
}

/// Nothing says which of the two limits is reached, so nobody else may be denied for it.
#[test]
fn a_client_over_its_limit_does_not_stop_the_others() {
    for mode in ["lease", "each"] {
        let config = || vec![limit("k", json!({"mode": mode})), of_all("g", mode)];
        let mut fleet = Fleet::new(with_services(config()));
        fleet.service.is_terse = true;
        // The very first answer of the service.
        fleet.service.limits.insert("k".to_owned(), 0);
        let denied = fleet.finish("a");
        assert_eq!(fleet.service.calls.len(), 1);
        assert_eq!(decisions(&denied), [RATE_LIMITED; 2], "{mode}");
        fleet.service.limits.clear();
        assert!(fleet.admits("b"), "{mode}");

        // One status of two.
        let mut fleet = Fleet::new(with_services(config()));
        for statuses in [&[][..], &[1], &[0], &[1, 1], &[0, 1], &[0, 0]] {
            let waiting = fleet.send("a");
            let [call] = &std::mem::take(&mut fleet.calls)[..] else {
                panic!("{statuses:?}");
            };
            fleet.report(call, Some(&refusal(statuses)));
            let denied = fleet.resume(waiting);
            assert_eq!(decisions(&denied), [RATE_LIMITED; 2], "{statuses:?}");
            // Learnt from the first one.
            fleet.host.states = Default::default();
        }
        assert!(fleet.admits("b"), "{mode}");
        assert!(fleet.admits("a"), "{mode}");
    }
}

/// The service says that one of the two is reached.
#[test]
fn a_limit_that_is_named_is_remembered() {
    let limits = vec![limit("k", json!({})), of_all("g", "lease")];
    let mut fleet = Fleet::new(with_services(limits));
    let waiting = fleet.send("a");
    let [call] = &std::mem::take(&mut fleet.calls)[..] else {
        panic!();
    };
    fleet.report(call, Some(&refusal(&[2, 0])));
    assert_eq!(decisions(&fleet.resume(waiting)), [RATE_LIMITED; 2]);
    let next = fleet.send("a");
    assert!(!next.is_pending() && next.is_denied());
    assert!(fleet.admits("b"));
}

/// An answer with the overall code `OVER_LIMIT` and statuses of these codes.
fn refusal(statuses: &[u64]) -> Vec<u8> {
    let mut answer = Message::default();
    answer.number(1, 2);
    for code in statuses {
        let mut status = Message::default();
        status.number(1, *code);
        answer.message(2, &status);
    }
    answer.into_bytes()
}

/// A single limit is what the call is about, whatever the status says. The service is not out.
#[test]
fn a_refused_call_of_one_limit_is_a_denial() {
    for mode in ["lease", "each"] {
        for statuses in [&[][..], &[0], &[1], &[2]] {
            let config = json!({"mode": mode, "on_outage": "allow"});
            let mut fleet = Fleet::new(with_services(vec![limit("k", config)]));
            for key in ["a", "b", "c", "d"] {
                let waiting = fleet.send(key);
                assert!(waiting.is_pending(), "{mode} {statuses:?}");
                let [call] = &std::mem::take(&mut fleet.calls)[..] else {
                    panic!("{statuses:?}");
                };
                fleet.report(call, Some(&refusal(statuses)));
                let denied = fleet.resume_with(&[("x-api-key", key)], waiting);
                assert_eq!(decisions(&denied), [RATE_LIMITED], "{mode} {statuses:?}");
                // It is remembered, and nothing was handed out.
                let next = fleet.send(key);
                assert_eq!(next.is_pending(), mode == "each");
                if mode == "lease" {
                    assert_eq!(decisions(&next), [RATE_LIMITED]);
                }
                fleet.calls.clear();
            }
        }
    }
}

#[test]
fn limits_in_shadow_see_only_requests_that_pass() {
    let mut shadow = limit("l", json!({}));
    shadow["mode"] = json!("shadow");
    let mut fleet = Fleet::new(with_services(vec![each("k"), shadow]));
    fleet.service.limits.insert("k".to_owned(), 1);
    let waiting = fleet.send("a");
    assert_eq!(waiting.checks().len(), 1);
    fleet.answer();
    let passed = fleet.resume(waiting);
    assert_eq!(decisions(&passed), [Decision::Admitted; 2]);
    assert_eq!(fleet.calls.len(), 1);
    let waiting = fleet.send("a");
    fleet.answer();
    assert_eq!(decisions(&fleet.resume(waiting)), [RATE_LIMITED]);
}
