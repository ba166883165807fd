//! Deposits: requests pay if they reached an upstream.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const UH: u64 = 0x2;
const UF: u64 = 0x20;
const UO: u64 = 0x80;
const OVERFLOW: &[u8] = b"upstream_reset_before_response_started{overflow}";

/// Requests as a real Envoy reports them (`tests/envoy/tests/retry_budget/endings.rs`).
const ENDINGS: [(u64, u64, &[u8], bool); 12] = [
    // No route, a redirect, a direct response, another filter, maintenance mode.
    (0, 0x100, b"route_not_found", false),
    (0, 0, b"direct_response", false),
    (0, 0, b"rbac_access_denied_matched_policy[none]", false),
    (0, UO, b"maintenance_mode", false),
    (1, UH, b"no_healthy_upstream", false),
    (1, UO, OVERFLOW, false),
    (1, 0, b"via_upstream", true),
    (
        1,
        UF,
        b"upstream_reset_before_response_started{remote_connection_failure}",
        true,
    ),
    // A retry was rejected, by the cluster's limit of retries or because there was no host.
    (1, UO, b"via_upstream", true),
    (
        1,
        UO,
        b"upstream_reset_before_response_started{connection_termination}",
        true,
    ),
    (2, UO, OVERFLOW, true),
    (2, UH, b"no_healthy_upstream", true),
];

#[test]
fn a_deposit_is_for_what_reached_an_upstream() {
    for (attempts, flags, details, is_paid) in ENDINGS {
        let mut world = World::new(one_budget(json!({"ratio": 100})));
        let mut evaluation = world.get();
        assert!(evaluation.needs_report());
        let report = Report {
            attempts,
            flags,
            details,
        };
        assert!(attempts != 1 || evaluation.needs_flags(attempts));
        let recorded = world.end(&mut evaluation, report);
        assert_eq!(recorded.deposited, is_paid, "{report:?}");
        assert_eq!(world.get().granted(), u32::from(is_paid), "{report:?}");
    }
}

#[test]
fn a_retry_that_reached_no_upstream_has_its_retry_back() {
    for (attempts, flags, details, is_charged) in ENDINGS {
        let mut world = World::new(one_budget(json!({"inbound_retries": "deny"})));
        world.succeed(5);
        let retry = [(":method", "GET"), ("x-envoy-attempt-count", "2")];
        let mut evaluation = world.send(&retry);
        let report = Report {
            attempts,
            flags,
            details,
        };
        assert!(!world.end(&mut evaluation, report).deposited);
        let has_it = world.send(&retry).denial().is_none();
        assert_eq!(has_it, !is_charged, "{report:?}");
    }
}

#[test]
fn a_request_pays_once_and_not_for_itself() {
    let mut world = World::new(one_budget(json!({"ratio": 100})));
    let mut first = world.get();
    let mut second = world.get();
    assert_eq!((first.granted(), second.granted()), (0, 0));
    world.record(&mut first, 1, 0);
    assert!(!first.needs_report());
    assert_eq!(world.get().granted(), 1);
    world.record(&mut second, 1, 0);
    assert_eq!(world.get().granted(), 1);
}

/// A scan of paths without a route buys nothing, however long it is.
#[test]
fn a_request_without_an_upstream_buys_no_retries() {
    let mut world = World::new(one_budget(json!({"ratio": 1000, "max_retries": 10})));
    for _ in 0..1_000 {
        let mut evaluation = world.get();
        assert_eq!(evaluation.granted(), 0);
        world.record(&mut evaluation, 0, 0);
    }
    assert_eq!(world.store.writes, 0);
}

#[test]
fn a_request_costs_no_more_updates_than_it_needs() {
    let updates = |ratio: u32, method: &str| {
        let mut world = World::new(one_budget(json!({"ratio": ratio})));
        world.succeed(5);
        world.store.writes = 0;
        let before = world.store.updates_left;
        let mut evaluation = world.send(&[(":method", method)]);
        world.record(&mut evaluation, 1, 0);
        (before - world.store.updates_left, world.store.writes)
    };
    // Withdrawn, and refunded with the deposit.
    assert_eq!(updates(20, "GET"), (2, 2));
    // There was nothing to withdraw.
    assert_eq!(updates(1, "GET"), (2, 1));
    // None was wanted.
    assert_eq!(updates(20, "POST"), (1, 1));
}

#[test]
fn a_deposit_that_cannot_be_written_is_lost() {
    let mut world = World::new(one_budget(json!({"ratio": 100})));
    let mut evaluation = world.get();
    world.store.updates_left = 0;
    assert!(!world.record(&mut evaluation, 1, 0).deposited);
    world.store.updates_left = u32::MAX;
    assert_eq!(world.get().granted(), 0);
}
