//! Requests that are already retries.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn denying() -> Value {
    json!({"inbound_retries": "deny", "max_retries": 2})
}

const GET: (&str, &str) = (":method", "GET");
const RETRY: [(&str, &str); 2] = [GET, ("x-envoy-attempt-count", "2")];

#[test]
fn they_pay_and_are_denied_when_there_is_nothing_left() {
    let mut world = World::new(one_budget(denying()));
    world.succeed(10);
    for _ in 0..2 {
        let mut retry = world.send(&RETRY);
        assert!(retry.is_inbound_retry());
        assert_eq!((retry.denial(), retry.granted()), (None, 0));
        assert_eq!(world.record(&mut retry, 1, 0).used, 0);
    }
    let retry = world.send(&RETRY);
    assert_eq!(retry.denial(), Some(Reason::BudgetEmpty));
    assert!(!retry.needs_report());
    // Retries do not deposit: five first attempts buy a retry.
    for _ in 0..100 {
        world.send(&RETRY);
    }
    world.succeed(5);
    assert_eq!(world.send(&RETRY).denial(), None);
}

#[test]
fn they_leave_the_same_bound_for_all_retries_together() {
    let mut world = World::new(one_budget(denying()));
    let mut passed = 0;
    for _ in 0..1_000 {
        passed += world.fail(1);
        passed += u32::from(world.send(&RETRY).denial().is_none());
    }
    assert_eq!(passed, 200);
}

#[test]
fn one_that_was_not_sent_on_has_its_retry_back() {
    for (attempts, left) in [(0, true), (1, false), (5, false)] {
        let mut world = World::new(one_budget(denying()));
        world.succeed(5);
        let mut retry = world.send(&RETRY);
        assert_eq!(retry.denial(), None);
        world.record(&mut retry, attempts, 0);
        assert_eq!(world.send(&RETRY).denial().is_none(), left, "{attempts}");
    }
}

#[test]
fn counted_ones_always_pass_and_leave_a_debt() {
    let mut world = World::new(one_budget(json!({"inbound_retries": "count"})));
    world.succeed(10);
    for _ in 0..12 {
        let retry = world.send(&RETRY);
        assert_eq!((retry.denial(), retry.granted()), (None, 0));
    }
    // The debt is ten retries, which fifty requests pay for.
    world.succeed(49);
    assert_eq!(world.get().balance(), Some(0));
    world.succeed(6);
    assert_eq!(world.get().granted(), 1);
}

#[test]
fn ignored_ones_are_requests_like_others() {
    let mut world = World::new(one_budget(json!({"ratio": 100})));
    world.succeed(1);
    let retry = world.send(&RETRY);
    assert!(!retry.is_inbound_retry());
    assert_eq!(retry.granted(), 1);
}

#[test]
fn several_headers_tell_them() {
    let is_retry = |attempt_headers: Option<Value>, name, value| {
        let mut budget = denying();
        if let Some(names) = attempt_headers {
            budget["attempt_headers"] = names;
        }
        let mut world = World::new(one_budget(budget));
        world.send(&[GET, (name, value)]).is_inbound_retry()
    };
    let own = || Some(json!(["X-Retry", "x-envoy-attempt-count"]));
    for (names, header, value, expected) in [
        (None, "x-envoy-attempt-count", "1", false),
        (None, "x-envoy-attempt-count", "0", false),
        (None, "x-envoy-attempt-count", "2", true),
        (None, "x-envoy-attempt-count", "1, 3", true),
        (None, "x-envoy-attempt-count", "-2", false),
        (None, "x-envoy-attempt-count", "two", false),
        (None, "x-envoy-attempt-count", "\u{fc}", false),
        (None, "x-envoy-attempt-count", "4294967295", true),
        (None, "x-envoy-attempt-count", "99999999999999999999", false),
        (None, "grpc-previous-rpc-attempts", "0", false),
        (None, "grpc-previous-rpc-attempts", "1", true),
        (None, "x-retry", "1", false),
        (own(), "x-retry", "1", true),
        (own(), "x-retry", "0", false),
        (own(), "x-envoy-attempt-count", "2", true),
        (own(), "grpc-previous-rpc-attempts", "1", false),
    ] {
        assert_eq!(
            is_retry(names, header, value),
            expected,
            "{header}: {value}"
        );
    }
}

#[test]
fn an_open_breaker_denies_them() {
    let mut budget = denying();
    budget["respect_breaker"] = json!("edge/payments");
    let mut world = World::new(one_budget(budget));
    world.succeed(10);
    world.open_breaker = Some("edge/payments");
    assert_eq!(world.send(&RETRY).denial(), Some(Reason::BreakerOpen));
    world.open_breaker = None;
    assert_eq!(world.send(&RETRY).denial(), None);
}

#[test]
fn when_the_ledger_cannot_be_written_on_error_decides() {
    for (on_error, denial) in [("allow", None), ("deny", Some(Reason::Unavailable))] {
        let mut config = one_budget(denying());
        config["on_error"] = json!(on_error);
        let mut world = World::new(config);
        world.store.updates_left = 0;
        let retry = world.send(&RETRY);
        assert_eq!(retry.denial(), denial);
        assert!(retry.is_error());
    }
}

#[test]
fn the_reply_says_when_to_come_again() {
    let mut budget = denying();
    budget["backoff"] = json!({"base": "1s", "factor": 3, "max": "1m", "jitter": "none"});
    let mut world = World::new(one_budget(budget));
    for (attempt, retry_after) in [("2", "1"), ("3", "3"), ("4", "9"), ("100", "60")] {
        let retry = world.send(&[GET, ("x-envoy-attempt-count", attempt)]);
        let reply = world.policy.reply(&retry, 0).unwrap();
        assert_eq!(reply.status, 503);
        assert_eq!(reply.details, "retry_budget_empty{orders}");
        assert_eq!(reply.headers, [("retry-after".into(), retry_after.into())]);
    }
}

/// The number that Envoy wrote for the redirected request does not apply to the next one.
#[test]
fn a_request_that_a_redirect_led_to_is_no_retry() {
    let mut world = World::new(one_budget(denying()));
    let attempts = ("x-envoy-attempt-count", "2");
    let previous = ("grpc-previous-rpc-attempts", "1");
    assert!(world.send(&[GET, attempts]).denial().is_some());
    world.is_redirected = true;
    assert_eq!(world.send(&[GET, attempts]).denial(), None);
    assert!(world.send(&[GET, attempts, previous]).denial().is_some());
}

#[test]
fn only_what_envoy_writes_after_a_redirect_is_worth_a_question() {
    let attempts = ("x-envoy-attempt-count", "2");
    let url = ("x-envoy-original-url", "http://shop.example/");
    let asks = |budget: Value, headers: &[(&str, &str)]| {
        World::new(one_budget(budget))
            .policy
            .may_be_redirected(&header_map(headers))
    };
    assert!(asks(denying(), &[GET, attempts, url]));
    assert!(!asks(denying(), &[GET, attempts]));
    assert!(!asks(denying(), &[GET, url]));
    assert!(!asks(json!({}), &[GET, attempts, url]));
}

#[test]
fn a_reply_to_grpc_tells_not_to_come_again() {
    let mut budget = denying();
    budget["deny_status"] = json!(429);
    let mut world = World::new(one_budget(budget));
    for (content_type, is_grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc;x=y", true),
        ("application/grpc-web", false),
        ("application/json", false),
    ] {
        let headers = [
            (":method", "POST"),
            ("content-type", content_type),
            ("grpc-previous-rpc-attempts", "1"),
        ];
        let retry = world.send(&headers);
        let reply = world.policy.reply(&retry, u64::MAX).unwrap();
        assert_eq!((reply.status, reply.grpc_status), (429, Some(14)));
        let pushback = ("grpc-retry-pushback-ms".into(), "-1".into());
        assert_eq!(reply.headers.contains(&pushback), is_grpc, "{content_type}");
    }
}
