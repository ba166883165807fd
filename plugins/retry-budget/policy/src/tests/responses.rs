//! Stop signals in responses.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const GRPC: [(&str, &str); 2] = [(":method", "POST"), ("content-type", "application/grpc")];

/// The stop signal of a response with these headers to a request that was sent once: `x-portcullis-retry` and
/// `grpc-retry-pushback-ms`.
fn marks(
    world: &mut World,
    request: &[(&str, &str)],
    response: &[(&str, &str)],
) -> [Option<String>; 2] {
    let mut evaluation = world.send(request);
    world.record(&mut evaluation, 1, 0);
    let mut headers = header_map(response);
    world.policy.on_response(&mut evaluation, &mut headers);
    let first = line(&headers, "x-portcullis-retry");
    let mut pushback = line(&headers, "grpc-retry-pushback-ms");
    if evaluation.needs_trailers() {
        let mut trailers = header_map(response);
        world.policy.on_trailers(&mut evaluation, &mut trailers);
        pushback = pushback.or(line(&trailers, "grpc-retry-pushback-ms"));
    }
    [first, pushback]
}

fn yes(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn empty() -> World {
    World::new(one_budget(json!({"ratio": 0})))
}

#[test]
fn a_failure_says_stop_when_the_budget_is_empty() {
    let mut world = empty();
    for (status, mark) in [
        ("200", None),
        ("302", None),
        ("404", None),
        ("429", None),
        ("500", yes("no")),
        ("503", yes("no")),
        ("599", yes("no")),
    ] {
        let seen = marks(&mut world, &[(":method", "GET")], &[(":status", status)]);
        assert_eq!(seen, [mark, None], "{status}");
    }
}

#[test]
fn nothing_is_said_while_there_are_retries_left() {
    let mut world = World::new(one_budget(json!({"ratio": 200, "max_retries": 1})));
    world.succeed(1);
    let seen = marks(&mut world, &[(":method", "GET")], &[(":status", "503")]);
    assert_eq!(seen, [None, None]);
    // Nor for methods that are not retried here: the caller may know better.
    let seen = marks(&mut world, &[(":method", "POST")], &[(":status", "503")]);
    assert_eq!(seen, [None, None]);
}

#[test]
fn a_request_that_had_fewer_than_it_should_says_stop() {
    let mut world = World::new(one_budget(json!({"ratio": 100, "max_retries": 2})));
    world.succeed(1);
    let mut evaluation = world.get();
    assert_eq!(evaluation.granted(), 1);
    world.record(&mut evaluation, 2, URX);
    assert!(evaluation.needs_response());
}

#[test]
fn nothing_is_said_of_an_answer_that_is_not_the_upstreams() {
    let mut world = empty();
    let mut evaluation = world.get();
    world.record(&mut evaluation, 0, 0);
    assert!(!evaluation.needs_response());
}

#[test]
fn an_open_breaker_says_stop() {
    let budget = json!({"ratio": 1000, "respect_breaker": "a/b"});
    let mut world = World::new(one_budget(budget));
    world.open_breaker = Some("a/b");
    let seen = marks(&mut world, &[(":method", "GET")], &[(":status", "503")]);
    assert_eq!(seen, [yes("no"), None]);
}

#[test]
fn grpc_gets_the_signal_by_its_status_wherever_that_is() {
    let mut world = empty();
    for (status, is_failure) in [
        ("0", false),
        ("3", false),
        ("5", false),
        ("1", true),
        ("4", true),
        ("8", true),
        ("13", true),
        ("14", true),
        ("", false),
        ("140", false),
    ] {
        let minus_one = is_failure.then(|| "-1".to_owned());
        let no = is_failure.then(|| "no".to_owned());
        let only = [(":status", "200"), ("grpc-status", status)];
        let seen = marks(&mut world, &GRPC, &only);
        assert_eq!(seen, [no, minus_one.clone()], "headers, {status}");

        let mut evaluation = world.send(&GRPC);
        world.record(&mut evaluation, 1, 0);
        let mut headers = header_map(&[(":status", "200")]);
        world.policy.on_response(&mut evaluation, &mut headers);
        assert!(!headers.is_changed());
        let mut trailers = header_map(&[("grpc-status", status)]);
        world.policy.on_trailers(&mut evaluation, &mut trailers);
        let seen = line(&trailers, "grpc-retry-pushback-ms");
        assert_eq!(seen, minus_one, "trailers, {status}");
    }
}

#[test]
fn a_grpc_request_with_an_http_error_gets_the_signal_at_once() {
    let mut world = empty();
    let seen = marks(&mut world, &GRPC, &[(":status", "503")]);
    assert_eq!(seen, [yes("no"), yes("-1")]);
}

#[test]
fn a_pushback_of_the_upstream_is_overruled() {
    let mut world = empty();
    let upstreams = [
        (":status", "200"),
        ("grpc-status", "14"),
        ("grpc-retry-pushback-ms", "100"),
    ];
    assert_eq!(marks(&mut world, &GRPC, &upstreams), [yes("no"), yes("-1")]);
}

#[test]
fn other_requests_have_no_grpc_status() {
    let mut world = empty();
    let response = [(":status", "200"), ("grpc-status", "14")];
    let seen = marks(&mut world, &[(":method", "GET")], &response);
    assert_eq!(seen, [None, None]);
}
