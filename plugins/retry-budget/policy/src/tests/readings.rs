//! Requests with several readings.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::*;

/// A budget for the paths below `/<name>/`, with a large reserve.
fn below(name: &str, max_retries: u32) -> Value {
    json!({
        "name": name, "match": {"path": {"prefix": format!("/{name}/")}},
        "max_retries": max_retries, "min_retries_per_second": 1000,
    })
}

fn get(path: &str) -> [(&str, &str); 2] {
    [(":method", "GET"), (":path", path)]
}

/// A request that reaches the upstream and fails: its budget, the number of granted retries, the reason for not more,
/// and whether it paid.
fn fate(world: &mut World, headers: &[(&str, &str)]) -> (usize, u32, Option<Reason>, bool) {
    let mut evaluation = world.send(headers);
    let attempts = 1 + u64::from(evaluation.granted());
    let recorded = world.record(&mut evaluation, attempts, URX);
    (
        evaluation.budget().index(),
        evaluation.granted(),
        recorded.denied,
        recorded.deposited,
    )
}

#[test]
fn a_possible_fit_belongs_to_the_budget_and_does_not_pay() {
    let mut world = World::new(json!({"budgets": [below("a", 1), below("b", 2)]}));
    assert_eq!(fate(&mut world, &get("/a/x")), (0, 1, None, true));
    assert_eq!(fate(&mut world, &get("/b/x")), (1, 2, None, true));
    // Letter case and a final slash.
    assert_eq!(fate(&mut world, &get("/A/x")), (0, 1, None, false));
    assert_eq!(fate(&mut world, &get("/b")), (1, 2, None, false));
    // In another reading, no budget applies.
    assert_eq!(fate(&mut world, &get("/b/..%2fx")), (1, 2, None, false));
    assert!(world.try_send(&get("/c/x")).is_none());
}

#[test]
fn readings_under_different_budgets_leave_no_retries() {
    let mut budgets = vec![below("a", 1), below("b", 2)];
    for _ in 0..2 {
        let mut world = World::new(json!({"budgets": budgets}));
        for path in ["/a/..%2fb/x", "/b/..;/a/x", "/a/%2e%2e/b/x", "/b/..%5ca/x"] {
            let ambiguous = Some(Reason::Ambiguous);
            assert_eq!(
                fate(&mut world, &get(path)),
                (0, 0, ambiguous, false),
                "{path}"
            );
            // It is not rejected, and not counted as denied if it succeeds.
            let mut evaluation = world.send(&get(path));
            assert_eq!(evaluation.denial(), None);
            assert_eq!(world.record(&mut evaluation, 1, 0).denied, None);
            let written = world.written(&evaluation, &get(path));
            assert_eq!(line(&written, "x-envoy-max-retries").as_deref(), Some("0"));
        }
        // The same with a budget for all other requests.
        budgets = vec![below("a", 1), json!({"name": "rest", "max_retries": 10})];
    }
}

#[test]
fn in_another_letter_case_the_first_budget_pays() {
    let rest = json!({"name": "rest", "max_retries": 2, "min_retries_per_second": 1000});
    let mut world = World::new(json!({"budgets": [below("api", 1), rest]}));
    assert_eq!(fate(&mut world, &get("/API/x")), (0, 1, None, false));
}

/// A budget in shadow mode must not take requests away from one that is enforced.
#[test]
fn the_strictest_budget_decides() {
    let mut shadow = below("a", 5);
    shadow["mode"] = json!("shadow");
    let mut world = World::new(json!({"budgets": [shadow, below("b", 2)]}));
    let evaluation = world.send(&get("/a/..%2fb/x"));
    assert_eq!(
        (evaluation.budget().index(), evaluation.is_enforced()),
        (1, true)
    );

    let mut deny = below("b", 2);
    deny["inbound_retries"] = json!("deny");
    deny["min_retries_per_second"] = json!(0);
    let mut count = below("c", 2);
    count["inbound_retries"] = json!("count");
    let mut world = World::new(json!({"budgets": [below("a", 1), count, deny]}));
    for (path, budget) in [
        ("/a/..%2fb/x", 2),
        ("/a/..%2fc/x", 1),
        ("/c/..%2fb/x", 2),
        ("/b/..%2fc/x", 2),
    ] {
        let headers = [&get(path)[..], &[("x-envoy-attempt-count", "2")]].concat();
        let evaluation = world.send(&headers);
        assert_eq!(evaluation.budget().index(), budget, "{path}");
        assert!(evaluation.is_inbound_retry());
        let denied = (budget == 2).then_some(Reason::BudgetEmpty);
        assert_eq!(evaluation.denial(), denied, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// For any spelling of a path, a request gets no more retries than each server's reading allows, and pays only
    /// into the budget of all readings.
    #[test]
    fn no_spelling_has_more_retries_than_a_plain_one(
        retries in prop::collection::vec(0..4_u32, 3),
        from in 0..3_usize,
        to in 0..3_usize,
        dodge in prop::sample::select(vec![
            "..%2f", "..;/", "%2e%2e/", "../", "..%5c", "..\\", ".;x=1/../", "%252e%252e%252f",
        ]),
    ) {
        let names = ["a", "b", "c"];
        let budgets: Vec<_> = names.iter().zip(&retries).map(|(name, it)| below(name, *it)).collect();
        let mut world = World::new(json!({"budgets": budgets}));
        let path = format!("/{}/{dodge}{}/x", names[from], names[to]);
        let (budget, granted, _, deposited) = fate(&mut world, &get(&path));
        prop_assert!(granted <= retries[from].min(retries[to]), "{} {}", path, granted);
        if deposited {
            prop_assert_eq!(budget, from, "{}", path);
            prop_assert_eq!(from, to, "{}", path);
        }
    }
}
