//! Invalid configurations and their errors.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::config::{Document, HasTables as _};

fn errors(config: Value) -> Vec<String> {
    match Document::parse(config.to_string().as_bytes()).and_then(Config::read_with_tables) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The only error of a breaker with these fields, with its path relative to the breaker.
fn error(mut breaker: Value) -> String {
    breaker["name"] = json!("a");
    if breaker["consecutive_failures"].is_null() {
        breaker["consecutive_failures"] = json!(1);
    }
    let errors = errors(json!({"breakers": [breaker]}));
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].trim_start_matches("$.breakers[0].").to_owned()
}

#[test]
fn the_example_of_the_contract_is_accepted() {
    let config = json!({
        "name": "edge", "mode": "enforce", "on_error": "allow", "max_keys": 4096,
        "status_path": "/portcullis/breakers",
        "breakers": [
            {"name": "payments", "match": {"path": {"prefix": "/pay"}}, "key": ["cluster"],
             "window": {"type": "time", "size": "30s"}, "minimum_requests": 20,
             "failure_rate": 50, "consecutive_failures": 5, "slow": {"threshold": "2s", "rate": 80},
             "failures": {"statuses": ["5xx", 429], "grpc": [4, 8, 13, 14, 15], "flags": ["UF", "UT", "UC", "UH"]},
             "open": {"base": "5s", "factor": 2, "max": "5m", "jitter": 20, "respect_retry_after": true},
             "half_open": {"permits": 3, "max_wait": "30s"},
             "max_concurrent": 200,
             "state": "auto",
             "fallback": {"status": 503, "body": "{\"error\":\"payments unavailable\"}",
                "headers": {"content-type": "application/json"}, "on_failure": true}}
        ]
    });
    assert_eq!(errors(config), [""; 0]);
}

#[test]
fn numbers_and_durations_have_bounds() {
    for (breaker, expected) in [
        (
            json!({"failure_rate": 101}),
            "failure_rate: found 101; expected a whole number from 0 to 100",
        ),
        (
            json!({"minimum_requests": 0}),
            "minimum_requests: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            json!({"half_open": {"permits": 0}}),
            "half_open.permits: found 0; expected a whole number from 1 to 1000",
        ),
        (
            json!({"half_open": {"max_wait": "0s"}}),
            "half_open.max_wait: found \"0s\"; expected a duration from \"1ms\" to \"1h\"",
        ),
        (
            json!({"open": {"base": "25h"}}),
            "open.base: found \"25h\"; expected a duration from \"1ms\" to \"1d\"",
        ),
        (
            json!({"open": {"factor": 0}}),
            "open.factor: found 0; expected a whole number from 1 to 100",
        ),
        (
            json!({"slow": {"rate": 50}}),
            "slow: required field \"threshold\" is missing",
        ),
        (
            json!({"fallback": {"status": 101}}),
            "fallback.status: found 101; expected a status from 200 to 599",
        ),
        (
            json!({"fallback": {"status": 204, "body": "x"}}),
            "fallback.body: found a body with the status 204, whose responses have none",
        ),
    ] {
        assert_eq!(error(breaker), expected);
    }
}

/// An error shows the bounds of the field, not the bounds of all durations.
#[test]
fn an_invalid_duration_gets_the_bounds_of_its_field() {
    for (breaker, expected) in [
        (
            json!({"half_open": {"max_wait": "30"}}),
            "half_open.max_wait: found \"30\"; expected a duration from \"1ms\" to \"1h\", written as a whole \
             number and one of ms, s, m, h, d",
        ),
        (
            json!({"concurrent_lease": 30}),
            "concurrent_lease: found 30; expected a duration from \"1ms\" to \"1d\", written as a whole number and \
             one of ms, s, m, h, d",
        ),
        (
            json!({"open": {"base": "99999999999d"}}),
            "open.base: found \"99999999999d\"; expected a duration from \"1ms\" to \"1d\", written as a whole \
             number and one of ms, s, m, h, d",
        ),
    ] {
        assert_eq!(error(breaker), expected);
    }
}

#[test]
fn windows_have_the_size_of_their_type() {
    for (window, expected) in [
        (
            json!({"type": "time", "size": 30}),
            "window.size: found 30 with \"type\": \"time\"; expected a duration such as \"30s\"",
        ),
        (
            json!({"type": "count", "size": "30s"}),
            "window.size: found \"30s\" with \"type\": \"count\"; expected a number of results from 1 to 500",
        ),
        (
            json!({"type": "count", "size": 501}),
            "window.size: found 501; expected a number of results from 1 to 500",
        ),
        (
            json!({"type": "time", "size": "9ms"}),
            "window.size: found \"9ms\"; expected a duration from \"10ms\" to \"1h\"",
        ),
        (
            json!({"type": "time", "size": "half a minute"}),
            "window.size: found \"half a minute\"; expected a duration from \"10ms\" to \"1h\", written as a whole \
             number and one of ms, s, m, h, d",
        ),
    ] {
        assert_eq!(error(json!({"window": window})), expected);
    }
}

#[test]
fn failures_are_named_as_envoy_names_them() {
    let unknown = error(json!({"failures": {"flags": ["UF", "XX"]}}));
    assert!(unknown.starts_with(
        "failures.flags[1]: found \"XX\"; expected a flag of Envoy's access log: LH, UH, UT"
    ));
    let status = error(json!({"failures": {"statuses": ["6xx"]}}));
    assert!(status.starts_with("failures.statuses[0]: "), "{status}");
    assert!(status.contains("\"5xx\""), "{status}");
    let grpc = error(json!({"failures": {"grpc": [0]}}));
    assert_eq!(
        grpc,
        "failures.grpc[0]: found 0; expected a gRPC status: a number from 1 to 16, or one of CANCELLED, \
         UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, \
         RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, \
         DATA_LOSS, UNAUTHENTICATED"
    );
    for unknown in [json!("unavailable"), json!("OK"), json!(17), json!("14")] {
        let grpc = error(json!({"failures": {"grpc": [unknown]}}));
        assert!(grpc.starts_with("failures.grpc[0]: found "), "{grpc}");
    }
    for unknown in [json!(600), json!("6xx"), json!("OK"), json!("404")] {
        let ignored = error(json!({"failures": {"ignored": [404, unknown]}}));
        assert!(
            ignored.starts_with("failures.ignored[1]: found "),
            "{ignored}"
        );
        assert!(ignored.ends_with(
            "expected an HTTP status from 100 to 599, a class such as \"4xx\", or the name of a gRPC status \
             such as \"NOT_FOUND\""
        ));
    }
}

#[test]
fn open_times_are_in_order() {
    assert_eq!(
        error(json!({"open": {"base": "10s", "max": "5s"}})),
        "open.max: found \"5s\"; expected at least \"base\", which is \"10s\""
    );
    // With an invalid base, there is no error about the maximum.
    assert_eq!(
        error(json!({"open": {"base": "soon", "max": "1s"}})),
        "open.base: found \"soon\"; expected a duration from \"1ms\" to \"1d\", written as a whole number and one \
         of ms, s, m, h, d"
    );
    // Without a maximum, the base may be longer than the default maximum.
    let mut world = World::new(one_breaker(
        json!({"consecutive_failures": 1, "open": {"base": "10m"}}),
    ));
    world.call(failure());
    assert_eq!(world.rejection().unwrap().1, Nanos::from_secs(600));
}

#[test]
fn a_breaker_has_to_have_a_trigger() {
    for triggers in [
        json!({"name": "a"}),
        json!({"name": "a", "failure_rate": 0, "consecutive_failures": 0, "max_concurrent": 0,
            "slow": {"threshold": "1s"}}),
    ] {
        let errors = errors(json!({"breakers": [triggers]}));
        assert_eq!(errors.len(), 1);
        assert!(errors[0].starts_with(
            "$.breakers[0]: found a breaker that never rejects a request; expected at least one of: failure_rate"
        ));
    }
    for state in ["forced_open", "disabled", "metrics_only"] {
        assert_eq!(
            errors(json!({"breakers": [{"name": "a", "state": state}]})),
            [""; 0]
        );
    }
}

#[test]
fn the_whole() {
    assert_eq!(
        errors(json!({})),
        ["$: required field \"breakers\" is missing"]
    );
    assert_eq!(
        errors(json!({"breakers": []})),
        ["$.breakers: found an empty array; expected a breaker"]
    );
    let twice = json!({"name": "a", "consecutive_failures": 1});
    let errors_of = errors(json!({"breakers": [twice, twice]}));
    assert!(errors_of[0].starts_with("$.breakers: found two breakers named \"a\""));
    for path in ["breakers", "/a//b", "/a/../b", "/a?b", "/a b", ""] {
        let one = json!({"name": "a", "consecutive_failures": 1});
        let errors = errors(json!({"status_path": path, "breakers": [one]}));
        assert!(errors[0].starts_with("$.status_path: found "), "{errors:?}");
    }
}

#[test]
fn one_line_says_what_is_configured() {
    let config = json!({"mode": "shadow", "breakers": [
        {"name": "payments", "consecutive_failures": 1},
        {"name": "tenants", "consecutive_failures": 1, "mode": "shadow"},
        {"name": "legacy", "state": "forced_open"}
    ]});
    assert_eq!(
        policy(config).to_string(),
        "mode shadow, up to 1 MiB for keys, breakers: payments, tenants (shadow), legacy \
         (forced_open)"
    );
}

#[test]
fn the_memory_of_all_tables_has_a_bound() {
    let breakers = |count: usize| {
        let breaker = |n| json!({"name": format!("b{n}"), "key": ["host"], "failure_rate": 50});
        let breakers: Vec<Value> = (0..count).map(breaker).collect();
        errors(json!({"max_keys": 4_194_304, "breakers": breakers}))
    };
    assert_eq!(breakers(1), [""; 0]);
    assert_eq!(
        breakers(2),
        [
            "$.max_keys: found 4194304 for each of 2 tables, which take up to 4.9 GiB of memory; expected \
          at most 4 GiB for all of them: lower max_keys, or have fewer rules with a key"
        ]
    );
}
