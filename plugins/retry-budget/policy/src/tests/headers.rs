//! The headers for the router.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const CLIENTS: [(&str, &str); 8] = [
    (":method", "GET"),
    ("x-envoy-max-retries", "100"),
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-retry-grpc-on", "internal"),
    ("x-envoy-retriable-status-codes", "404"),
    ("x-envoy-retriable-header-names", "x-a"),
    ("x-envoy-hedge-on-per-try-timeout", "true"),
    ("x-envoy-upstream-rq-per-try-timeout-ms", "10"),
];

/// The values of the client's headers that are kept, in the same order.
fn retry_headers(headers: &HeaderMap) -> Vec<Option<String>> {
    let names = CLIENTS.iter().skip(1);
    names.map(|(name, _)| line(headers, name)).collect()
}

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn the_retry_headers_of_a_client_are_overridden() {
    let mut world = World::new(one_budget(json!({"ratio": 1000, "max_retries": 10})));
    world.succeed(1);
    let evaluation = world.send(&CLIENTS);
    let seen = retry_headers(&world.written(&evaluation, &CLIENTS));
    let none = None;
    assert_eq!(
        seen,
        [
            some("10"),
            none.clone(),
            none.clone(),
            none.clone(),
            none.clone(),
            none,
            some("10")
        ]
    );
}

#[test]
fn the_number_is_set_where_there_was_none() {
    let mut world = World::new(one_budget(json!({"ratio": 100})));
    world.succeed(1);
    let get = [(":method", "GET")];
    let evaluation = world.send(&get);
    let written = world.written(&evaluation, &get);
    assert_eq!(line(&written, "x-envoy-max-retries"), some("1"));
    assert_eq!(written.changes().count(), 1);
}

#[test]
fn conditions_are_set_if_there_should_be_retries() {
    let retry_on = " 5xx ,unavailable,connect-failure, cancelled";
    let mut world = World::new(one_budget(json!({"ratio": 100, "retry_on": retry_on})));
    // Also without any retries: the router must notice that they are missing.
    for retries in ["0", "1"] {
        let evaluation = world.send(&CLIENTS);
        let written = world.written(&evaluation, &CLIENTS);
        assert_eq!(line(&written, "x-envoy-max-retries"), some(retries));
        assert_eq!(
            line(&written, "x-envoy-retry-on"),
            some("5xx,connect-failure")
        );
        let grpc = line(&written, "x-envoy-retry-grpc-on");
        assert_eq!(grpc, some("unavailable,cancelled"));
        assert_eq!(line(&written, "x-envoy-retriable-status-codes"), None);
        world.succeed(1);
    }

    let post = [(":method", "POST")];
    let evaluation = world.send(&post);
    let written = world.written(&evaluation, &post);
    assert_eq!(line(&written, "x-envoy-max-retries"), some("0"));
    assert_eq!(line(&written, "x-envoy-retry-on"), None);
}

#[test]
fn statuses_and_headers_bring_their_conditions() {
    for (budget, retry_on, statuses, headers) in [
        (
            json!({"retriable_status_codes": [409, 503]}),
            "retriable-status-codes",
            some("409,503"),
            None,
        ),
        (
            json!({"retry_on": "retriable-headers,reset", "retriable_headers": ["X-Again", "x-b"]}),
            "retriable-headers,reset",
            None,
            some("x-again,x-b"),
        ),
        (
            json!({
                "retry_on": "5xx", "retriable_status_codes": [425], "retriable_headers": ["a"],
            }),
            "5xx,retriable-status-codes,retriable-headers",
            some("425"),
            some("a"),
        ),
    ] {
        let mut world = World::new(one_budget(budget));
        let evaluation = world.send(&CLIENTS);
        let written = world.written(&evaluation, &CLIENTS);
        assert_eq!(line(&written, "x-envoy-retry-on"), some(retry_on));
        assert_eq!(line(&written, "x-envoy-retriable-status-codes"), statuses);
        assert_eq!(line(&written, "x-envoy-retriable-header-names"), headers);
        assert_eq!(line(&written, "x-envoy-hedge-on-per-try-timeout"), None);
    }
}
