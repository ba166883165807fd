//! Budgets in shadow mode.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn in_shadow(budget: Value) -> [Value; 2] {
    let mut plugin = one_budget(budget.clone());
    plugin["mode"] = json!("shadow");
    let mut rule = one_budget(budget);
    rule["budgets"][0]["mode"] = json!("shadow");
    [plugin, rule]
}

#[test]
fn nothing_is_written_but_a_mark() {
    for config in in_shadow(json!({"max_retries": 1, "retry_on": "5xx"})) {
        let mut world = World::new(config);
        world.succeed(5);
        let get = [(":method", "GET"), ("x-envoy-max-retries", "9")];
        let mut granted = world.send(&get);
        assert!(!world.written(&granted, &get).is_changed());
        let short = world.send(&get);
        let written = world.written(&short, &get);
        assert_eq!(
            line(&written, "x-portcullis-shadow").as_deref(),
            Some("retry_budget;orders")
        );
        assert_eq!(written.changes().count(), 1);
        world.record(&mut granted, 2, 0);
    }
}

/// The route's own policy decides how often a request is sent, and has three retries.
#[test]
fn the_ledger_is_kept_as_in_earnest() {
    for config in in_shadow(json!({"max_retries": 3})) {
        let mut world = World::new(config);
        let (mut used, mut denied) = (0, 0);
        for _ in 0..1_000 {
            let mut evaluation = world.get();
            assert!(!evaluation.needs_flags(4));
            let recorded = world.record(&mut evaluation, 4, 0);
            used += recorded.used;
            denied += u32::from(recorded.denied == Some(Reason::BudgetEmpty));
            // It sends no stop signal.
            assert!(!evaluation.needs_response());
        }
        // Every fifth request could have had a retry.
        assert_eq!((used, denied), (199, 1_000));
    }
}

#[test]
fn a_retry_that_would_be_denied_passes_with_a_mark() {
    for config in in_shadow(json!({"inbound_retries": "deny"})) {
        let mut world = World::new(config);
        let headers = [(":method", "GET"), ("x-envoy-attempt-count", "2")];
        let mut retry = world.send(&headers);
        assert_eq!(retry.denial(), Some(Reason::BudgetEmpty));
        assert!(!retry.is_enforced());
        assert!(world.policy.reply(&retry, 0).is_none());
        let written = world.written(&retry, &headers);
        assert_eq!(
            line(&written, "x-portcullis-shadow").as_deref(),
            Some("retry_budget;orders")
        );
        world.record(&mut retry, 1, 0);
        // The retry was not charged: after five requests, there is a retry.
        world.succeed(5);
        assert_eq!(world.get().granted(), 1);
    }
}

#[test]
fn off_is_off() {
    let mut off = one_budget(json!({}));
    off["mode"] = json!("off");
    let mut world = World::new(off);
    assert!(!world.policy.needs_request());
    assert!(world.try_send(&[(":method", "GET")]).is_none());
}
