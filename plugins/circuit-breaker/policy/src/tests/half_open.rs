//! Open and half-open circuits.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Opens at the first failure; three probes decide.
fn config() -> Value {
    one_breaker(json!({"consecutive_failures": 1, "failure_rate": 50, "minimum_requests": 10}))
}

/// A world with a circuit that has just opened.
fn opened_world(config: Value) -> World {
    let mut world = World::new(config);
    world.call(failure());
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    world
}

/// The same with a rate alone.
fn by_rate() -> World {
    let mut world = World::new(one_breaker(
        json!({"failure_rate": 50, "minimum_requests": 10}),
    ));
    world.calls(10, &failure());
    assert_eq!(world.transitions(), [opened(Cause::Rate)]);
    world
}

#[test]
fn an_open_circuit_rejects_until_its_time_is_over() {
    let mut world = opened_world(config());
    world.advance(Nanos::from_secs(5) - Nanos::new(1));
    assert_eq!(
        world.rejection(),
        Some((Reason::CircuitOpen, Nanos::new(1)))
    );
    world.advance(Nanos::new(1));
    assert_eq!(world.rejection(), None);
    assert_eq!(world.transitions(), [HALF_OPEN]);
}

#[test]
fn as_many_probes_pass_as_there_are_permits() {
    let mut world = opened_world(config());
    world.advance(Nanos::from_secs(5));
    let probes: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    assert!(probes.iter().all(|probe| !probe.is_rejected()));
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    for probe in probes {
        assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
        world.end(probe, success());
    }
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
    assert_eq!(world.rejection(), None);
}

/// Permits limit the results in total, not the probes at a time.
#[test]
fn a_probe_that_has_ended_does_not_make_room_for_another() {
    let mut world = by_rate();
    world.advance(Nanos::from_secs(5));
    let first = world.send(&[]);
    let second = world.send(&[]);
    world.end(first, success());
    let third = world.send(&[]);
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    world.end(second, success());
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    world.end(third, success());
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
}

#[test]
fn the_rate_of_the_probes_decides() {
    for (failures, expected) in [(1, CLOSED), (2, opened(Cause::Probe))] {
        let mut world = by_rate();
        world.advance(Nanos::from_secs(5));
        world.calls(failures, &failure());
        world.calls(3 - failures, &success());
        assert_eq!(world.transitions(), [HALF_OPEN, expected]);
    }
}

#[test]
fn slow_probes_open_it_again() {
    let mut world = World::new(one_breaker(json!({
        "slow": {"threshold": "1s", "rate": 100}, "minimum_requests": 2
    })));
    let slowly = |world: &mut World| {
        let two = [world.send(&[]), world.send(&[])];
        world.advance(Nanos::from_secs(2));
        for request in two {
            world.end(request, success());
        }
    };
    slowly(&mut world);
    world.advance(Nanos::from_secs(5));
    slowly(&mut world);
    let expected = [opened(Cause::Slow), HALF_OPEN, opened(Cause::Probe)];
    assert_eq!(world.transitions(), expected);
}

/// Without rates, failures in a row decide; three probes cannot have five of them.
#[test]
fn probes_in_a_row_count_up_to_those_that_decide() {
    let five = json!({"consecutive_failures": 5, "half_open": {"permits": 3}});
    for (probes, expected) in [
        (vec![failure(), failure(), failure()], opened(Cause::Probe)),
        (vec![failure(), failure(), success()], CLOSED),
    ] {
        let mut world = World::new(one_breaker(five.clone()));
        world.calls(5, &failure());
        world.advance(Nanos::from_secs(5));
        for probe in probes {
            assert!(world.call(probe));
        }
        let expected = [opened(Cause::Consecutive), HALF_OPEN, expected];
        assert_eq!(world.transitions(), expected);
    }
    let mut world = opened_world(config());
    world.advance(Nanos::from_secs(5));
    assert!(world.call(failure()));
    assert_eq!(world.transitions(), [HALF_OPEN, opened(Cause::Probe)]);
}

#[test]
fn it_stays_open_longer_each_time_until_it_has_closed() {
    let mut world = opened_world(config());
    for seconds in [5, 10, 20, 40, 60, 60] {
        let wait = world.rejection();
        assert_eq!(wait, Some((Reason::CircuitOpen, Nanos::from_secs(seconds))));
        world.advance(Nanos::from_secs(seconds));
        assert!(world.call(failure()), "a probe");
    }
    world.advance(Nanos::from_secs(60));
    assert_eq!(world.calls(3, &success()), 3);
    world.call(failure());
    let wait = world.rejection();
    assert_eq!(wait, Some((Reason::CircuitOpen, Nanos::from_secs(5))));
}

#[test]
fn jitter_spreads_the_time_evenly_and_within_bounds() {
    let waits: Vec<Nanos> = (0..300)
        .map(|i| {
            let mut world = World::new(one_breaker(json!({
                "consecutive_failures": 1, "open": {"base": "10s", "jitter": 20}
            })));
            world.advance(Nanos::new(i));
            world.call(failure());
            world.rejection().unwrap().1
        })
        .collect();
    let bounds = Nanos::from_secs(8)..=Nanos::from_secs(12);
    assert!(waits.iter().all(|wait| bounds.contains(wait)));
    // A tenth of the range gets 30 of 300 on average.
    for tenth in 0..10 {
        let from = Nanos::from_secs(8) + Nanos::SECOND * tenth * 4 / 10;
        let range = from..=from + Nanos::SECOND * 4 / 10;
        let there = waits.iter().filter(|wait| range.contains(wait)).count();
        assert!((10..=60).contains(&there), "{tenth}: {there}");
    }
}

#[test]
fn a_probe_that_the_client_left_makes_room() {
    let mut world = opened_world(config());
    world.advance(Nanos::from_secs(5));
    let probes: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    for probe in probes {
        assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
        world.end(probe, abandoned());
        let next = world.send(&[]);
        assert!(!next.is_rejected());
    }
    assert_eq!(world.transitions(), [HALF_OPEN]);
}

#[test]
fn a_probe_that_is_never_heard_of_makes_room_after_max_wait() {
    let mut world = opened_world(config());
    world.advance(Nanos::from_secs(5));
    for _ in 0..3 {
        world.send(&[]);
    }
    world.events.clear();
    world.advance(Nanos::from_secs(30) - Nanos::new(1));
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    assert_eq!(world.expired(), 0);
    world.advance(Nanos::SECOND * 75 / 10);
    assert_eq!(world.calls(3, &success()), 3);
    assert_eq!(
        world.events.iter().map(|it| it.leases_expired).sum::<u32>(),
        3
    );
    assert_eq!(world.transitions(), [CLOSED]);
}

/// It is a result of this generation, so it counts; its permit has already expired.
#[test]
fn a_result_that_comes_after_its_lease_counts_but_returns_nothing() {
    let mut world = by_rate();
    world.advance(Nanos::from_secs(5));
    let lost: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    world.advance(Nanos::from_secs(60));
    let probes: Vec<_> = (0..2).map(|_| world.send(&[])).collect();
    let mut lost = lost.into_iter();
    world.end(lost.next().unwrap(), failure());
    // One result and two probes out: no permit is left.
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    for probe in probes {
        world.end(probe, success());
    }
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
}

#[test]
fn late_results_change_nothing() {
    let mut world = World::new(config());
    let slow_ones: Vec<_> = (0..20).map(|_| world.send(&[])).collect();
    world.call(failure());
    let mut slow_ones = slow_ones.into_iter();
    let mut end = |world: &mut World, ending: Ending| {
        let before = world.store.contents();
        let records = world.end(slow_ones.next().unwrap(), ending);
        assert!(records[0].effects.circuit.was_late);
        assert_eq!(world.store.contents(), before);
    };
    end(&mut world, failure());
    end(&mut world, success());
    world.advance(Nanos::from_secs(5));
    let probe = world.send(&[]);
    for _ in 0..5 {
        end(&mut world, success());
        end(&mut world, failure());
    }
    world.end(probe, failure());
    end(&mut world, success());
    world.advance(Nanos::from_secs(10));
    assert_eq!(world.calls(3, &success()), 3);
    end(&mut world, failure());
    assert_eq!(
        world.transitions(),
        [
            opened(Cause::Consecutive),
            HALF_OPEN,
            opened(Cause::Probe),
            HALF_OPEN,
            CLOSED
        ]
    );
}

#[test]
fn retry_after_of_a_failure_keeps_it_open() {
    let asking = |seconds: &str| answer(&[(":status", "503"), ("retry-after", seconds)]);
    let wait = |breaker: Value, endings: &[Ending]| {
        let mut world = World::new(one_breaker(breaker));
        for ending in endings {
            world.call(ending.clone());
        }
        world.rejection().unwrap().1.ceil_secs()
    };
    let two = json!({"consecutive_failures": 2});
    assert_eq!(wait(two.clone(), &[failure(), asking("30")]), 30);
    assert_eq!(
        wait(two.clone(), &[asking("30"), failure()]),
        30,
        "of any failure"
    );
    assert_eq!(
        wait(two.clone(), &[failure(), asking("1")]),
        5,
        "at least base"
    );
    assert_eq!(
        wait(two.clone(), &[failure(), asking("86400")]),
        60,
        "at most max"
    );
    let success = answer(&[(":status", "200"), ("retry-after", "30")]);
    assert_eq!(
        wait(two, &[success, failure(), failure()]),
        5,
        "not of a success"
    );
    let disrespectful = json!({"consecutive_failures": 1,
        "open": {"base": "5s", "respect_retry_after": false}});
    assert_eq!(wait(disrespectful, &[asking("30")]), 5);
}

/// More results than the permits of a new configuration must not block the circuit.
#[test]
fn fewer_permits_in_a_new_configuration_do_not_block() {
    let breaker = |permits: u32| {
        one_breaker(json!({"failure_rate": 50, "minimum_requests": 10,
            "half_open": {"permits": permits}}))
    };
    let mut world = World::new(breaker(9));
    world.calls(10, &failure());
    world.advance(Nanos::from_secs(5));
    world.calls(5, &success());
    world.reconfigure(breaker(2));
    assert!(world.call(success()));
    let expected = [opened(Cause::Rate), HALF_OPEN, CLOSED];
    assert_eq!(world.transitions(), expected);
}

#[test]
fn a_new_configuration_keeps_circuits_unless_their_states_mean_something_else() {
    let mut world = opened_world(config());
    let mut breaker = config();
    breaker["breakers"][0]["failure_rate"] = json!(99);
    world.reconfigure(breaker.clone());
    assert!(world.rejection().is_some());
    assert_eq!((world.gauges.state, world.gauges.open_keys), (2, 1));
    for (field, value) in [
        ("window", json!({"type": "count", "size": 100})),
        ("key", json!(["cluster"])),
        ("concurrent_lease", json!("1m")),
        ("half_open", json!({"max_wait": "10s"})),
        ("state", json!("metrics_only")),
        ("name", json!("b")),
    ] {
        let identity = |config: &Value| policy(config.clone()).tables().next().unwrap().identity;
        let mut other = breaker.clone();
        other["breakers"][0][field] = value;
        assert_ne!(identity(&other), identity(&breaker), "{field}");
        world.reconfigure(other);
        assert_eq!((world.gauges.state, world.gauges.open_keys), (0, 0));
    }
}
