//! Valid and invalid configurations.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::config::{Document, HasTables as _};

/// The errors of a configuration.
fn errors(config: &Value) -> Vec<String> {
    match Document::parse(config.to_string().as_bytes()).and_then(Config::read_with_tables) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The errors of a budget with these fields and a name.
fn error(budget: Value) -> String {
    let errors = errors(&one_budget(budget.clone()));
    assert_eq!(errors.len(), 1, "{budget}: {errors:?}");
    errors[0].clone()
}

#[test]
fn the_example_of_the_issue_is_read() {
    let policy = policy(json!({
        "name": "edge", "mode": "enforce", "on_error": "allow", "max_keys": 4096,
        "budgets": [
            {"name": "orders", "match": {"path": {"prefix": "/orders"}}, "key": ["cluster"],
             "ratio": 20, "window": "10s", "min_retries_per_second": 3, "max_retries": 2,
             "retry_on": "5xx,reset,connect-failure", "idempotent_only": true,
             "inbound_retries": "deny",
             "backoff": {"strategy": "exponential", "base": "250ms", "factor": 2, "max": "10s",
                "jitter": "full"},
             "respect_breaker": "edge/payments"}
        ]
    }));
    assert_eq!(
        policy.to_string(),
        "mode enforce, up to 1 MiB for keys, budgets: orders (20 % in 10s, 3/s at least, 2 for a \
         request)"
    );
    let breaker = policy.breakers().next().unwrap().unwrap();
    assert_eq!(
        (breaker.policy.as_str(), breaker.breaker.as_str()),
        ("edge", "payments")
    );
}

#[test]
fn a_name_is_enough() {
    let policy = policy(json!({"budgets": [{"name": "all"}]}));
    assert_eq!(
        policy.to_string(),
        "mode enforce, up to 1 MiB for keys, budgets: all (20 % in 10s, 3/s at least, 1 for a request)"
    );
    assert_eq!(policy.breakers().collect::<Vec<_>>(), [None]);
}

#[test]
fn numbers_and_durations_have_bounds() {
    for (budget, said) in [
        (
            json!({"ratio": 1001}),
            "$.budgets[0].ratio: found 1001; expected a whole number from 0 to 1000",
        ),
        (
            json!({"max_retries": 11}),
            "$.budgets[0].max_retries: found 11; expected a whole number from 0 to 10",
        ),
        (
            json!({"min_retries_per_second": 1_000_001}),
            "$.budgets[0].min_retries_per_second: found 1000001; expected a whole number from 0 to \
             1000000",
        ),
        (
            json!({"window": "999ms"}),
            "$.budgets[0].window: found \"999ms\"; expected a duration from \"1s\" to \"1h\"",
        ),
        (
            json!({"deny_status": 200}),
            "$.budgets[0].deny_status: found 200; expected a status from 400 to 599",
        ),
        (
            json!({"backoff": {"base": "0s"}}),
            "$.budgets[0].backoff.base: found \"0s\"; expected a duration from \"1ms\" to \"1d\"",
        ),
        (
            json!({"backoff": {"factor": 0}}),
            "$.budgets[0].backoff.factor: found 0; expected a whole number from 1 to 10",
        ),
    ] {
        assert_eq!(error(budget), said);
    }
    let ratio = error(json!({"ratio": 0.2}));
    assert!(ratio.starts_with("$.budgets[0].ratio: "), "{ratio}");
}

#[test]
fn a_contradictory_configuration_is_refused() {
    assert_eq!(
        error(json!({"backoff": {"strategy": "linear", "factor": 2}})),
        "$.budgets[0].backoff.factor: found a factor; only the strategy \"exponential\" has one"
    );
    assert_eq!(
        error(json!({"backoff": {"base": "10s", "max": "1s"}})),
        "$.budgets[0].backoff.max: found \"1s\"; expected at least \"base\", which is \"10s\""
    );
    let none = error(json!({"attempt_headers": []}));
    assert!(none.contains("found an empty array"), "{none}");
    let name = error(json!({"attempt_headers": ["x y"]}));
    assert!(
        name.starts_with("$.budgets[0].attempt_headers[0]: "),
        "{name}"
    );
}

#[test]
fn conditions_of_retries_are_envoys() {
    for bad in ["", "5xx,", "5XX", "503", "5xx;reset"] {
        let error = error(json!({"retry_on": bad}));
        let found = "$.budgets[0].retry_on: found \"";
        assert!(error.starts_with(found), "{error}");
        assert!(error.contains("gateway-error, reset"), "{error}");
    }
}

#[test]
fn the_lists_of_conditions_are_distinct_and_bounded() {
    let many: Vec<_> = (400..421).collect();
    for (budget, said) in [
        (
            json!({"retry_on": "5xx,retriable-status-codes"}),
            "$.budgets[0]: found \"retriable-status-codes\" in \"retry_on\" without \
             \"retriable_status_codes\", so it would never be met; expected \
             \"retriable_status_codes\" as well, such as [409, 503]",
        ),
        (
            json!({"retry_on": "retriable-headers", "retriable_status_codes": [409]}),
            "$.budgets[0]: found \"retriable-headers\" in \"retry_on\" without \
             \"retriable_headers\", so it would never be met; expected \"retriable_headers\" as \
             well, such as [\"x-try-again\"]",
        ),
        (
            json!({"retriable_status_codes": [200]}),
            "$.budgets[0].retriable_status_codes[0]: found 200; expected a whole number from 400 to \
             599",
        ),
        (
            json!({"retriable_status_codes": []}),
            "$.budgets[0].retriable_status_codes: found 0 entries; expected 1 to 20",
        ),
        (
            json!({"retriable_status_codes": many}),
            "$.budgets[0].retriable_status_codes: found 21 entries; expected 1 to 20",
        ),
        (
            json!({"retriable_status_codes": [409, 503, 409]}),
            "$.budgets[0].retriable_status_codes: found 409 twice; expected each once",
        ),
        (
            json!({"retriable_headers": ["x-a", "X-A"]}),
            "$.budgets[0].retriable_headers: found \"x-a\" twice; expected each once",
        ),
        (
            json!({"retriable_headers": [":status"]}),
            "$.budgets[0].retriable_headers[0]: found \":status\"; expected the name of a header",
        ),
    ] {
        assert_eq!(error(budget), said);
    }
}

#[test]
fn a_breaker_is_named_with_its_policy() {
    for bad in ["", "payments", "/payments", "edge/", "edge/pay ments"] {
        let error = error(json!({"respect_breaker": bad}));
        let found = format!("$.budgets[0].respect_breaker: found {bad:?}; expected the name of a");
        assert!(error.starts_with(&found), "{error}");
    }
}

#[test]
fn budgets_are_there_and_have_different_names() {
    assert_eq!(
        errors(&json!({"budgets": []})),
        ["$.budgets: found an empty array; expected a budget"]
    );
    let twice = errors(&json!({"budgets": [{"name": "a"}, {"name": "a"}]}));
    assert!(twice[0].starts_with("$.budgets: found two budgets named \"a\""));
    let several = errors(&json!({"budget": [], "budgets": [{"name": "a", "ratios": 1}]}));
    assert_eq!(several.len(), 2, "{several:?}");
}
