//! The permits of probes, and the time at which they count.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A circuit that can be probed now; three probes decide.
fn probed(breaker: Value) -> World {
    let mut world = World::new(one_breaker(breaker));
    world.calls(10, &failure());
    world.transitions();
    world.advance(Nanos::from_secs(5));
    world
}

fn by_rate() -> Value {
    json!({"failure_rate": 50, "minimum_requests": 10})
}

fn grpc() -> Ending {
    answer(&[(":status", "200"), ("content-type", "application/grpc")])
}

fn broken(ending: Ending) -> Ending {
    Ending {
        details: "upstream_reset_after_response_started{connection_termination}",
        flags: 0x40,
        ..ending
    }
}

#[test]
fn uploads_that_stall_take_nothing_from_complete_requests() {
    let mut world = probed(by_rate());
    let stalled: Vec<_> = (0..3).map(|_| world.send_head()).collect();
    assert!(stalled.iter().all(|upload| !upload.is_rejected()));
    assert!(
        world.send_head().is_rejected(),
        "not more uploads than permits"
    );
    assert_eq!(world.calls(3, &success()), 3);
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
}

#[test]
fn an_upload_holds_its_permit_for_a_second() {
    let mut world = probed(by_rate());
    let _stalled: Vec<_> = (0..3).map(|_| world.send_head()).collect();
    world.advance(Nanos::SECOND * 125 / 100);
    assert!(!world.send_head().is_rejected());
    // Its lease is never longer than that of a probe.
    let mut world = probed(json!({"failure_rate": 50, "minimum_requests": 10,
        "half_open": {"max_wait": "100ms"}}));
    let _stalled: Vec<_> = (0..3).map(|_| world.send_head()).collect();
    world.advance(Nanos::SECOND / 8);
    assert!(!world.send_head().is_rejected());
}

#[test]
fn an_upload_that_is_complete_is_a_probe_like_others() {
    let mut world = probed(by_rate());
    let mut uploads: Vec<_> = (0..3).map(|_| world.send_head()).collect();
    for upload in &mut uploads {
        world.complete(upload);
    }
    world.advance(Nanos::from_secs(2));
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    for upload in uploads {
        world.end(upload, failure());
    }
    assert_eq!(world.transitions(), [HALF_OPEN, opened(Cause::Probe)]);
}

#[test]
fn a_response_that_begins_well_counts_at_once() {
    let mut world = probed(by_rate());
    let mut streams: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    for stream in &mut streams {
        world.begin(stream, &mut success());
    }
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
    assert_eq!(world.calls(20, &success()), 20);
    for stream in streams {
        let records = world.log(stream, success());
        assert!(!records[0].effects.circuit.was_late);
    }
    assert_eq!(world.transitions(), []);
}

#[test]
fn a_response_that_begins_badly_counts_at_its_end() {
    let mut world = probed(by_rate());
    let mut stream = world.send(&[]);
    world.begin(&mut stream, &mut failure());
    assert!(stream.needs_early_success());
    world.log(stream, failure());
    world.calls(1, &failure());
    world.calls(1, &success());
    assert_eq!(world.transitions(), [HALF_OPEN, opened(Cause::Probe)]);
}

#[test]
fn a_later_break_counts_in_place_of_the_success() {
    let mut world = probed(by_rate());
    let mut streams: Vec<_> = (0..2).map(|_| world.send(&[])).collect();
    for stream in &mut streams {
        world.begin(stream, &mut success());
    }
    for stream in streams {
        world.log(stream, broken(success()));
    }
    world.calls(1, &success());
    assert_eq!(world.transitions(), [HALF_OPEN, opened(Cause::Probe)]);
}

#[test]
fn a_break_after_the_circuit_has_closed_is_a_failure_of_that_time() {
    let mut world = probed(json!({"consecutive_failures": 2, "half_open": {"permits": 3}}));
    let mut streams: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    for stream in &mut streams {
        world.begin(stream, &mut success());
    }
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
    let mut streams = streams.into_iter();
    world.log(streams.next().unwrap(), broken(success()));
    assert_eq!(world.transitions(), []);
    world.log(streams.next().unwrap(), broken(success()));
    assert_eq!(world.transitions(), [opened(Cause::Consecutive)]);
    // It does not count after the circuit has opened.
    let records = world.log(streams.next().unwrap(), broken(success()));
    assert_eq!(records[0].effects.circuit.transition, None);
    assert!(world.rejection().is_some());
}

#[test]
fn a_slow_response_that_begins_well_is_slow() {
    let mut world = World::new(one_breaker(json!({"slow": {"threshold": "1s", "rate": 50},
        "minimum_requests": 1})));
    let slow = |world: &mut World| {
        let mut stream = world.send(&[]);
        world.advance(Nanos::from_secs(2));
        world.begin(&mut stream, &mut success());
        world.log(stream, success());
    };
    slow(&mut world);
    world.advance(Nanos::from_secs(5));
    slow(&mut world);
    let expected = [opened(Cause::Slow), HALF_OPEN, opened(Cause::Probe)];
    assert_eq!(world.transitions(), expected);
}

#[test]
fn a_grpc_response_waits_for_its_trailers_but_not_for_long() {
    let mut world = probed(by_rate());
    let mut streams: Vec<_> = (0..3).map(|_| world.send(&[])).collect();
    for stream in &mut streams {
        world.begin(stream, &mut grpc());
    }
    assert_eq!(world.transitions(), [HALF_OPEN]);
    assert_eq!(world.rejection(), Some((Reason::HalfOpen, Nanos::SECOND)));
    let with = |code: &str| Ending {
        trailers: Some(header_map(&[("grpc-status", code)])),
        ..grpc()
    };
    let mut streams = streams.into_iter();
    world.log(streams.next().unwrap(), with("14"));
    world.advance(Nanos::SECOND * 125 / 100);
    assert_eq!(world.rejection(), None, "two of three go on, and went well");
    assert_eq!(world.transitions(), [CLOSED]);
    world.log(streams.next().unwrap(), with("0"));
    let records = world.log(streams.next().unwrap(), with("14"));
    assert_eq!(records[0].verdict, Verdict::Failure);
    assert_eq!(world.transitions(), []);
}

#[test]
fn a_grpc_failure_that_comes_at_once_is_no_success_before() {
    let mut world = probed(by_rate());
    for _ in 0..2 {
        let mut stream = world.send(&[]);
        world.begin(&mut stream, &mut grpc());
        let trailers = Some(header_map(&[("grpc-status", "14")]));
        world.log(stream, Ending { trailers, ..grpc() });
    }
    world.calls(1, &success());
    assert_eq!(world.transitions(), [HALF_OPEN, opened(Cause::Probe)]);
}

#[test]
fn a_probe_that_its_client_leaves_within_the_response_has_counted() {
    let mut world = probed(json!({"failure_rate": 50, "minimum_requests": 10,
        "half_open": {"permits": 1}}));
    let mut stream = world.send(&[]);
    world.begin(&mut stream, &mut success());
    assert_eq!(world.transitions(), [HALF_OPEN, CLOSED]);
    let left = Ending {
        details: "downstream_remote_disconnect",
        flags: 0x4000,
        ..success()
    };
    assert_eq!(world.log(stream, left)[0].verdict, Verdict::Success);
    assert_eq!(world.transitions(), []);
}
