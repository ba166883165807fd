//! The triggers that open a circuit.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_failure_rate_opens_from_the_minimum_on() {
    let mut world = World::new(one_breaker(
        json!({"failure_rate": 50, "minimum_requests": 10}),
    ));
    assert_eq!(world.calls(5, &success()), 5);
    assert_eq!(world.calls(4, &failure()), 4);
    assert_eq!(world.transitions(), []);
    assert!(world.call(failure()));
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
    assert_eq!(
        world.rejection(),
        Some((Reason::CircuitOpen, Nanos::from_secs(5)))
    );
}

/// As in resilience4j, each result is evaluated, and a success can be the one that reaches the minimum.
#[test]
fn a_success_can_open_the_circuit() {
    let mut world = World::new(one_breaker(
        json!({"failure_rate": 50, "minimum_requests": 10}),
    ));
    world.calls(6, &failure());
    world.calls(3, &success());
    assert_eq!(world.transitions(), []);
    world.call(success());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
}

#[test]
fn below_the_rate_it_stays_closed() {
    let mut world = World::new(one_breaker(
        json!({"failure_rate": 51, "minimum_requests": 10}),
    ));
    for _ in 0..100 {
        assert!(world.call(success()) && world.call(failure()));
    }
    assert_eq!(world.transitions(), []);
}

#[test]
fn failures_in_a_row_need_no_minimum() {
    let mut world = World::new(one_breaker(json!({"consecutive_failures": 3})));
    for _ in 0..10 {
        world.calls(2, &failure());
        world.call(success());
    }
    world.calls(2, &failure());
    world.call(neutral());
    assert_eq!(world.transitions(), []);
    world.call(failure());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
}

fn slow() -> Value {
    one_breaker(json!({
        "slow": {"threshold": "2s", "rate": 50}, "minimum_requests": 4,
        "window": {"type": "count", "size": 100}
    }))
}

/// Ends a request after this many milliseconds.
fn call_lasting(world: &mut World, milliseconds: u64, ending: Ending) {
    let admission = world.send(&[]);
    world.advance(Nanos::from_millis(milliseconds));
    world.end(admission, ending);
}

#[test]
fn slow_responses_open_it_whether_they_fail_or_not() {
    let mut world = World::new(slow());
    call_lasting(&mut world, 2_000, success());
    call_lasting(&mut world, 2_000, failure());
    call_lasting(&mut world, 2_001, success());
    assert_eq!(world.transitions(), []);
    call_lasting(&mut world, 2_001, failure());
    assert_eq!(world.transitions(), [opened(Cause::Slow)]);
}

#[test]
fn a_response_is_timed_to_its_headers() {
    let mut world = World::new(slow());
    for _ in 0..10 {
        let mut stream = world.send(&[]);
        world.advance(Nanos::SECOND);
        world
            .policy
            .on_response(&mut stream, &header_map(&[(":status", "101")]), world.now);
        world.advance(Nanos::from_secs(3_600));
        world
            .policy
            .on_log(&mut stream, &mut success(), world.now, &mut world.store);
        assert_eq!(world.rejection(), None);
    }
}

/// A client that leaves early says nothing about the upstream; one that waited too long shows that it is slow.
#[test]
fn clients_that_go_are_neutral_unless_they_had_waited() {
    let mut world = World::new(slow());
    for _ in 0..50 {
        call_lasting(&mut world, 2_000, abandoned());
    }
    assert_eq!(world.transitions(), []);
    for _ in 0..3 {
        call_lasting(&mut world, 2_001, abandoned());
    }
    assert_eq!(world.transitions(), []);
    call_lasting(&mut world, 2_001, abandoned());
    assert_eq!(world.transitions(), [opened(Cause::Slow)]);
}

#[test]
fn without_a_slow_rate_clients_that_go_are_always_neutral() {
    let mut world = World::new(one_breaker(json!({
        "slow": {"threshold": "1s"}, "failure_rate": 50, "minimum_requests": 2,
        "window": {"type": "count", "size": 100}
    })));
    world.call(failure());
    for _ in 0..50 {
        call_lasting(&mut world, 5, abandoned());
        call_lasting(&mut world, 1_500, abandoned());
    }
    assert_eq!(world.transitions(), []);
    world.call(failure());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
}

#[test]
fn results_leave_a_window_of_time() {
    let mut world = World::new(one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 4, "window": {"type": "time", "size": "10s"}
    })));
    world.calls(3, &failure());
    world.advance(Nanos::from_secs(8));
    world.call(success());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);

    let mut world = World::new(one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 4, "window": {"type": "time", "size": "10s"}
    })));
    world.calls(3, &failure());
    world.advance(Nanos::from_secs(10));
    world.calls(4, &success());
    world.advance(Nanos::from_secs(5));
    world.calls(3, &failure());
    assert_eq!(world.transitions(), []);
    world.call(failure());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
}

#[test]
fn results_leave_a_window_of_results() {
    let mut world = World::new(one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 4, "window": {"type": "count", "size": 4}
    })));
    world.call(failure());
    world.advance(Nanos::from_secs(3_600));
    world.calls(3, &success());
    world.call(failure());
    assert_eq!(world.transitions(), []);
    world.call(failure());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
}

/// A minimum beyond the size of the window would never be reached.
#[test]
fn the_minimum_is_at_most_the_size_of_a_window_by_count() {
    let mut world = World::new(one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 100, "window": {"type": "count", "size": 5}
    })));
    world.calls(5, &failure());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
}

#[test]
fn rejected_requests_do_not_count() {
    let mut world = World::new(one_breaker(json!({
        "failure_rate": 50, "minimum_requests": 2, "half_open": {"permits": 2}
    })));
    world.calls(2, &failure());
    for _ in 0..100 {
        assert!(world.rejection().is_some());
    }
    world.advance(Nanos::from_secs(5));
    world.calls(2, &success());
    assert_eq!(
        world.transitions(),
        [opened(Cause::Rate), HALF_OPEN, CLOSED]
    );
}

#[test]
fn keys_have_circuits_of_their_own() {
    let mut world = World::new(one_breaker(json!({
        "consecutive_failures": 1, "key": ["cluster", {"header": "x-tenant"}]
    })));
    world.call_with(&[("x-tenant", "one")], failure());
    assert!(!world.call_with(&[("x-tenant", "one")], success()));
    assert!(world.call_with(&[("x-tenant", "two")], success()));
}

/// An override of the state ignores results.
#[test]
fn forced_states() {
    let forced = |state: &str| {
        World::new(one_breaker(
            json!({"consecutive_failures": 1, "state": state}),
        ))
    };
    let mut open = forced("forced_open");
    assert_eq!(
        open.rejection(),
        Some((Reason::ForcedOpen, Nanos::from_secs(5)))
    );
    assert_eq!(open.gauges.state, 2);

    let mut disabled = forced("disabled");
    assert_eq!(disabled.calls(9, &failure()), 9);
    assert!(disabled.send(&[]).checks().is_empty());

    let mut metrics = forced("metrics_only");
    assert_eq!(metrics.calls(9, &failure()), 9);
    let exceeded: Vec<_> = metrics.events.iter().map(|it| it.exceeded).collect();
    assert_eq!(exceeded, [Some(Cause::Consecutive)], "once");
    metrics.call(success());
    metrics.call(failure());
    assert_eq!(metrics.events.len(), 2, "and once more");
    assert_eq!(metrics.gauges, snapshot::GaugeDelta::default());
}

#[test]
fn a_plugin_that_is_off_does_nothing() {
    let mut config = one_breaker(json!({"state": "forced_open"}));
    config["mode"] = json!("off");
    let mut world = World::new(config);
    assert!(!world.policy.needs_request());
    assert_eq!(world.rejection(), None);
    assert_eq!(world.gauges.state, 0);
}
