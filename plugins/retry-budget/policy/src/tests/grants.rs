//! The number of retries that requests get.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn one_in_five_is_retried_when_all_fail() {
    let mut world = World::new(one_budget(json!({"ratio": 20, "max_retries": 3})));
    // Nobody has asked yet for the retry that the last five requests paid for.
    assert_eq!(world.fail(10_000), 1_999);
}

#[test]
fn the_reserve_comes_on_top() {
    let budget = json!({"ratio": 20, "max_retries": 3, "min_retries_per_second": 3});
    let mut world = World::new(one_budget(budget));
    // The reserve pays where deposits do not: three at once, and three more in the next second.
    assert_eq!(world.fail(10), 1 + 3);
    world.advance(Nanos::SECOND);
    assert_eq!(world.fail(10), 2 + 3);
}

#[test]
fn a_few_failures_are_all_retried() {
    let mut world = World::new(one_budget(json!({"max_retries": 2})));
    world.succeed(10);
    for _ in 0..100 {
        world.succeed(9);
        let mut failing = world.get();
        assert_eq!(failing.granted(), 2);
        // The first retry succeeds.
        assert_eq!(world.record(&mut failing, 2, 0).used, 1);
    }
    // 1010 requests have deposited 202 retries, and 100 were used.
    assert_eq!(world.get().balance(), Some(202 - 100 - 2));
}

#[test]
fn a_request_under_way_holds_its_retries() {
    let mut world = World::new(one_budget(json!({"max_retries": 2})));
    world.succeed(15);
    let mut under_way: Vec<_> = (0..5).map(|_| world.get()).collect();
    let granted: Vec<_> = under_way.iter().map(Evaluation::granted).collect();
    assert_eq!(granted, [2, 1, 0, 0, 0]);

    for evaluation in &mut under_way {
        world.record(evaluation, 1, 0);
    }
    // Twenty requests have paid for four retries.
    assert_eq!(world.get().balance(), Some(4 - 2));
}

#[test]
fn whatever_ends_a_request_gives_back_what_it_did_not_use() {
    // Answered by another filter, answered at once, retried once, retried twice.
    for (attempts, used, balance) in [(0, 0, 3), (1, 0, 4), (2, 1, 3), (3, 2, 2), (u64::MAX, 2, 2)]
    {
        let mut world = World::new(one_budget(json!({"max_retries": 2})));
        world.succeed(19);
        let mut evaluation = world.get();
        assert_eq!(evaluation.balance(), Some(1));
        let recorded = world.record(&mut evaluation, attempts, 0);
        assert_eq!(recorded.used, used);
        assert_eq!(world.get().balance(), Some(balance - 2), "{attempts}");
        // Nothing is left to record.
        assert!(!evaluation.needs_report());
    }
}

#[test]
fn only_idempotent_methods_are_retried_unless_others_may_be() {
    let idempotent = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"];
    for (method, by_default) in idempotent
        .map(|method| (method, 1))
        .into_iter()
        .chain(["POST", "PATCH", "CONNECT", "get", "query", ""].map(|method| (method, 0)))
    {
        let budget = json!({"ratio": 1000, "max_retries": 1});
        let mut world = World::new(one_budget(budget.clone()));
        world.succeed(1);
        assert_eq!(world.send(&[(":method", method)]).granted(), by_default);
        let mut budget = budget;
        budget["idempotent_only"] = json!(false);
        let mut world = World::new(one_budget(budget));
        world.succeed(1);
        assert_eq!(world.send(&[(":method", method)]).granted(), 1, "{method}");
    }
}

#[test]
fn requests_that_are_not_retried_deposit_too() {
    let mut world = World::new(one_budget(json!({})));
    for _ in 0..9 {
        let mut evaluation = world.send(&[(":method", "POST")]);
        assert_eq!(evaluation.granted(), 0);
        assert!(evaluation.reason.is_none());
        assert!(world.record(&mut evaluation, 1, 0).deposited);
    }
    assert_eq!(world.get().granted(), 1);
}

#[test]
fn keys_have_budgets_of_their_own() {
    let mut world = World::new(one_budget(json!({"key": ["cluster"]})));
    world.succeed(20);
    let other = world.send(&[(":method", "GET"), ("x-cluster", "other")]);
    assert_eq!(other.granted(), 0);
    assert_eq!(world.get().granted(), 1);
}

#[test]
fn the_first_budget_that_matches_decides() {
    let mut world = World::new(json!({"budgets": [
        {"name": "off", "mode": "off", "max_retries": 9},
        {"name": "posts", "match": {"methods": ["POST"]}, "max_retries": 5,
            "idempotent_only": false, "min_retries_per_second": 10},
        {"name": "all", "match": {"path": {"prefix": "/"}}, "max_retries": 4,
            "idempotent_only": false, "min_retries_per_second": 10},
    ]}));
    let posted = world.send(&[(":method", "POST"), (":path", "/")]);
    assert_eq!((posted.budget().index(), posted.granted()), (1, 5));
    let other = world.send(&[(":method", "PATCH"), (":path", "/")]);
    assert_eq!((other.budget().index(), other.granted()), (2, 4));
    assert!(world.try_send(&[(":method", "CONNECT")]).is_none());
}

#[test]
fn an_open_breaker_leaves_no_retries() {
    let budget = json!({"ratio": 1000, "respect_breaker": "edge/payments"});
    let mut world = World::new(one_budget(budget));
    world.open_breaker = Some("edge/payments");
    let mut evaluation = world.get();
    assert_eq!(evaluation.granted(), 0);
    let recorded = world.record(&mut evaluation, 1, URX);
    assert_eq!(recorded.denied, Some(Reason::BreakerOpen));
    world.open_breaker = Some("edge/other");
    assert_eq!(world.get().granted(), 1);
    // The request in between has deposited as well.
    assert_eq!(world.get().balance(), Some(10 - 2));
}

#[test]
fn a_retry_that_was_wanted_and_not_there_is_denied() {
    let mut world = World::new(one_budget(json!({"max_retries": 2})));
    world.succeed(5);
    let mut evaluation = world.get();
    assert_eq!(evaluation.granted(), 1);
    assert!(evaluation.needs_flags(2));
    let recorded = world.record(&mut evaluation, 2, URX);
    assert_eq!(recorded.denied, Some(Reason::BudgetEmpty));

    // It did not need another one.
    world.succeed(5);
    let mut evaluation = world.get();
    assert_eq!(evaluation.granted(), 1);
    assert_eq!(world.record(&mut evaluation, 2, 0).denied, None);

    // It had the maximum for one request: nothing was denied.
    world.succeed(50);
    let mut evaluation = world.get();
    assert!(!evaluation.needs_flags(3));
    assert_eq!(world.record(&mut evaluation, 3, URX).denied, None);
}

#[test]
fn when_the_ledger_cannot_be_written_on_error_decides() {
    for (on_error, granted, reason) in [("allow", 2, None), ("deny", 0, Some(Reason::Unavailable))]
    {
        let mut config = one_budget(json!({"max_retries": 2}));
        config["on_error"] = json!(on_error);
        let mut world = World::new(config);
        world.store.updates_left = 0;
        let mut evaluation = world.get();
        assert!(evaluation.is_error());
        assert_eq!(evaluation.granted(), granted);
        assert_eq!(evaluation.balance(), None);
        let recorded = world.record(&mut evaluation, 1 + u64::from(granted), URX);
        assert_eq!((recorded.used, recorded.denied), (granted, reason));
    }
}

#[test]
fn a_refund_that_cannot_be_written_leaves_what_was_reserved() {
    let mut world = World::new(one_budget(json!({"max_retries": 2})));
    world.succeed(10);
    let mut evaluation = world.get();
    world.store.updates_left = 0;
    assert_eq!(world.record(&mut evaluation, 1, 0).balance, None);
    world.store.updates_left = u32::MAX;
    assert_eq!(world.get().balance(), Some(0));
    // It stays withdrawn until it leaves the window, with the deposits that paid for it.
    world.advance(Nanos::from_secs(10));
    world.succeed(10);
    assert_eq!(world.get().granted(), 2);
}

#[test]
fn a_new_configuration_finds_the_counts_unless_they_mean_something_else() {
    let identity = |budget: Value| policy(one_budget(budget)).tables().next().unwrap();
    let key = json!(["cluster"]);
    let old = identity(json!({"key": key, "window": "10s"}));
    let same = json!({"key": key, "ratio": 50, "min_retries_per_second": 9, "max_retries": 5,
        "window": "10000ms", "match": {"methods": ["GET"]}, "mode": "shadow"});
    assert_eq!(identity(same), old);
    assert_ne!(identity(json!({"key": key, "window": "11s"})), old);
    assert_ne!(identity(json!({"key": ["route"]})), old);
    assert_ne!(identity(json!({})), old);
}

#[test]
fn a_budget_that_is_one_for_all_needs_one_block() {
    let blocks = |config: Value| policy(config).tables().next().unwrap().blocks;
    assert_eq!(blocks(one_budget(json!({}))), 1);
    assert_eq!(blocks(one_budget(json!({"key": ["cluster"]}))), 512);
    assert_eq!(blocks(one_budget(json!({"mode": "off"}))), 0);
}
