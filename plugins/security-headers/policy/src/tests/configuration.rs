use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn the_shipped_example_is_valid() {
    let text = include_bytes!("../../../example.json");
    let policy = SecurityHeaders::new(config::read(text).unwrap());
    assert_eq!(
        policy.rules().collect::<Vec<_>>(),
        ["none", "api", "logout"]
    );
}

/// Every field.
#[test]
fn a_full_configuration_is_valid() {
    let found = errors(&json!({
        "name": "edge", "mode": "enforce",
        "preset": "helmet",
        "override_upstream": false,
        "headers": [
            {"name": "x-frame-options", "value": "DENY", "action": "set"},
            {"name": "x-app", "value": "shop", "action": "set_if_absent"},
            {"name": "vary", "value": "origin", "action": "append"},
            {"name": "x-powered-by", "action": "remove"}
        ],
        "csp": {"directives": {"default-src": ["'self'"], "script-src": ["'self'", "'nonce'"]},
            "report_only": false},
        "hsts": {"max_age": "730d", "include_subdomains": true, "preload": false,
            "assume_tls": false},
        "permissions_policy": {"camera": [], "geolocation": ["self", "https://maps.example"]},
        "cross_origin": {"opener": "same-origin", "embedder": "require-corp",
            "resource": "same-origin", "report_only": ["embedder"]},
        "reporting_endpoints": {"csp": "https://reports.example/csp"},
        "cookies": {"secure": true, "http_only": true, "same_site": "Lax", "except": ["csrftoken"]},
        "cross_site": {"mode": "enforce", "trusted_origins": ["https://app.example"]},
        "rules": [
            {"name": "api", "match": {"path": {"prefix": "/api/"}}, "preset": "api"},
            {"name": "logout", "match": {"path": {"exact": "/logout"}}, "headers": [
                {"name": "clear-site-data", "value": "\"cache\",\"cookies\",\"storage\"",
                    "action": "set"}]},
            {"name": "all", "mode": "shadow", "override_upstream": true, "csp": {}, "hsts": {},
                "permissions_policy": {}, "cross_origin": {}, "reporting_endpoints": {},
                "cookies": {}, "cross_site": {}}
        ]
    }));
    assert_eq!(found, "");
}

#[test]
fn everything_is_optional() {
    assert_eq!(
        config::read::<super::super::Config>(b"")
            .unwrap()
            .name
            .as_str(),
        "default"
    );
}

#[test]
fn unknown_fields_are_refused_everywhere() {
    let object = json!({"modes": 1});
    for config in [
        json!({"modes": 1}),
        json!({"csp": object}),
        json!({"hsts": object}),
        json!({"cross_origin": object}),
        json!({"cookies": object}),
        json!({"cross_site": object}),
        json!({"headers": [{"name": "a", "action": "remove", "modes": 1}]}),
        json!({"rules": [{"name": "a", "modes": 1}]}),
    ] {
        let found = errors(&config);
        assert!(
            found.contains(".modes: unknown field; allowed: "),
            "{found}"
        );
    }
}

#[test]
fn headers_that_cannot_be_changed_are_refused() {
    let header = |name: &str| json!({"headers": [{"name": name, "action": "remove"}]});
    check(&[
        (
            header(""),
            "$.headers[0].name: found \"\"; expected the name of a header",
        ),
        (
            header("x y"),
            "found \"x y\"; expected the name of a header: letters",
        ),
        (header("x:y"), "expected the name of a header"),
        (header("x\u{e9}"), "expected the name of a header"),
        (header(":status"), "pseudo-headers cannot be changed"),
        (
            header("Content-Length"),
            "found \"Content-Length\"; expected another header: this one",
        ),
        (header("transfer-encoding"), "belongs to the connection"),
        (header("connection"), "belongs to the connection"),
        (header("keep-alive"), "belongs to the connection"),
        (header("upgrade"), "belongs to the connection"),
        (header("Set-Cookie"), "use \"cookies\""),
    ]);
}

#[test]
fn values_of_headers_are_checked() {
    let header =
        |value: Value| json!({"headers": [{"name": "x", "value": value, "action": "set"}]});
    for value in [
        "", " x", "x ", "a\r\nb", "a\nb", "a\0b", "a\u{7f}", "\u{e9}",
    ] {
        let found = errors(&header(value.into()));
        assert!(
            found.starts_with("$.headers[0].value: found "),
            "{value:?}: {found}"
        );
    }
    assert_eq!(errors(&header("a b\tc".into())), "");
    check(&[(
        header(1.into()),
        "$.headers[0].value: found 1; expected a string",
    )]);
}

#[test]
fn actions_and_values_must_fit() {
    let entry = |entry: Value| json!({"headers": [entry]});
    check(&[
        (
            entry(json!({"name": "x", "action": "set"})),
            "$.headers[0]: required field \"value\" is missing",
        ),
        (
            entry(json!({"name": "x", "action": "remove", "value": "y"})),
            "$.headers[0].value: found a value; the action \"remove\" takes none",
        ),
        (
            entry(json!({"name": "x", "value": "y"})),
            "$.headers[0]: required field \"action\" is missing",
        ),
        (
            entry(json!({"name": "x", "value": "y", "action": "add"})),
            "$.headers[0].action: found \"add\"; allowed: set, set_if_absent, append, remove",
        ),
        (
            entry(json!({"name": "Content-Security-Policy", "value": "y", "action": "append"})),
            "use \"csp\"",
        ),
    ]);
}

#[test]
fn names_of_rules_are_unique_and_not_reserved() {
    check(&[
        (
            json!({"rules": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}),
            "$.rules: found two rules named \"a\"; expected each name once",
        ),
        (
            json!({"rules": [{"name": "none"}]}),
            "$.rules[0].name: found \"none\"; expected another",
        ),
        (
            json!({"rules": [{}]}),
            "$.rules[0]: required field \"name\" is missing",
        ),
        (
            json!({"rules": [{"name": "a b"}]}),
            "$.rules[0].name: found \"a b\"; expected a name",
        ),
    ]);
}

#[test]
fn unknown_values_are_refused_with_the_allowed_ones() {
    check(&[
        (
            json!({"mode": "on"}),
            "$.mode: found \"on\"; allowed: enforce, shadow, off",
        ),
        (
            json!({"preset": "max"}),
            "$.preset: found \"max\"; allowed: helmet, owasp, strict, api, none",
        ),
    ]);
}

#[test]
fn mistakes_everywhere_are_reported_at_once() {
    let found = errors(&json!({
        "preset": "max",
        "headers": [{"name": "x y", "action": "set", "value": "a"}],
        "hsts": {"max_age": "1y"},
        "rules": [{"name": "a", "csp": {"directives": {"script-src": ["self"]}}}, {"name": "none"}]
    }));
    let paths: Vec<_> = found
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    for path in [
        "$.preset",
        "$.headers[0].name",
        "$.hsts.max_age",
        "$.rules[0].csp.directives.script-src[0]",
        "$.rules[1].name",
    ] {
        assert!(paths.contains(&path), "{path} is missing in\n{found}");
    }
    assert_eq!(paths.len(), 5, "{found}");
}
