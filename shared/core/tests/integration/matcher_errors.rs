//! The errors for rules that could never match.

use portcullis_core::config;
use portcullis_core::matcher::Match;
use proptest::prelude::*;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The error report on a rule; empty if it is valid.
fn errors(json: &str) -> String {
    config::read::<Match>(json.as_bytes())
        .map_or_else(|errors| errors.to_string(), |_| String::new())
}

#[test]
fn a_mistake_in_a_regex_is_shown_where_it_is() {
    let what = "expected a regular expression in the syntax of Rust's regex crate";
    for (regex, problem) in [
        ("/orders(", "unclosed group at 7"),
        ("/é(", "unclosed group at 3"),
        ("/a)", "unopened group at 2"),
        (
            "/[z-a]",
            "invalid character class range, the start must be <= the end at 2",
        ),
        ("*", "repetition operator missing expression at 0"),
        (
            "/(?=a)",
            "look-around, including look-ahead and look-behind, is not supported at 1",
        ),
        (r"/(a)\1", "backreferences are not supported at 4"),
        (r"/\p{Greek}", "Unicode not allowed here at 1"),
        ("/[é]", "Unicode not allowed here at 2"),
    ] {
        assert_eq!(
            errors(&format!(r#"{{"path": {{"regex": {regex:?}}}}}"#)),
            format!("$.path.regex: {problem}; {what}")
        );
    }
}

#[test]
fn a_regex_that_takes_too_much_is_refused() {
    // Each exceeds one limit: that of the program, of the table, or of the states during compilation.
    let alphabet: String = ('A'..='Z').chain('a'..='z').collect();
    let table = format!("/({alphabet}){{30}}");
    for regex in [
        "/(a{1000}){1000}",
        &table,
        "/(a?){2000}",
        "/(a|b)*a(a|b){20}",
    ] {
        assert_eq!(
            errors(&format!(r#"{{"path": {{"regex": {regex:?}}}}}"#)),
            "$.path.regex: needs more than 256 KiB when compiled; bounded repeats and \
             alternatives after a .* cost most",
            "{regex}"
        );
    }
}

#[test]
fn the_nesting_of_a_regex_is_bounded() {
    let nested = |depth| {
        let regex = "(".repeat(depth) + "/" + &")".repeat(depth);
        errors(&format!(r#"{{"path": {{"regex": {regex:?}}}}}"#))
    };
    assert_eq!(nested(249), "");
    assert!(nested(100_000).contains("exceed the maximum number of nested parentheses"));
}

#[test]
fn paths_that_no_request_can_have_are_refused() {
    let canonical =
        |form| format!("expected the canonical form, which is {form:?}: paths are compared in it");
    for (path, expected) in [
        ("", "expected a path that starts with \"/\"".to_owned()),
        ("api/", "expected a path that starts with \"/\"".to_owned()),
        ("/a//b", canonical("/a/b")),
        ("/a/../b", canonical("/b")),
        ("/a;b/c", canonical("/a/c")),
        ("/a\\b", canonical("/a/b")),
        ("/search?q", canonical("/search")),
        ("/caf%C3%A9", canonical("/café")),
    ] {
        for kind in ["exact", "prefix"] {
            assert_eq!(
                errors(&format!(r#"{{"path": {{{kind:?}: {path:?}}}}}"#)),
                format!("$.path.{kind}: found {path:?}; {expected}")
            );
        }
    }
    assert_eq!(
        errors(r#"{"path": {"exact": "/a/."}}"#),
        format!("$.path.exact: found \"/a/.\"; {}", canonical("/a/"))
    );
}

#[test]
fn rules_that_can_never_match_are_refused() {
    let never = "found an empty array, which never matches; leave it out to match any";
    for (json, expected) in [
        (r#"{"methods": []}"#, format!("$.methods: {never}")),
        (r#"{"hosts": []}"#, format!("$.hosts: {never}")),
        (
            r#"{"methods": ["GET", "get", "G T", ""]}"#,
            "$.methods[1]: found \"get\"; expected \"GET\": the letter case of methods counts\n\
             $.methods[2]: found \"G T\"; expected a method such as \"GET\"\n\
             $.methods[3]: found \"\"; expected a method such as \"GET\""
                .to_owned(),
        ),
        (
            r#"{"headers": [{"name": ":path", "exact": "/"}, {"name": "Host", "exact": "a"}]}"#,
            "$.headers[0].name: found \":path\"; expected the name of a header\n\
             $.headers[1].name: found \"Host\"; expected another header: plugins do not see this one; use \"hosts\" of a match, or \"host\" of a key"
                .to_owned(),
        ),
    ] {
        assert_eq!(errors(json), expected);
    }
    // The empty list that remains after an error is not an error of its own.
    assert_eq!(errors(r#"{"methods": ["get"]}"#).lines().count(), 1);
}

#[test]
fn hosts_that_no_request_can_have_are_refused() {
    for host in [
        "",
        "*",
        "*.",
        "**.example",
        "a.*.example",
        "*example",
        "api.example:443",
        "a..example",
        ".example",
        "example.",
        "a b",
        "http://a.example",
        "a.example/x",
        "é.example",
        "::1",
        "[::1",
        "[::1]:80",
        "[zz]",
        "*.[::1]",
        "10.0.0.256",
        "10.0",
        "*.0.0.1",
        "u@a.example",
    ] {
        assert_eq!(
            errors(&format!(r#"{{"hosts": [{host:?}]}}"#)),
            format!(
                "$.hosts[0]: found {host:?}; expected a host without a port: a name such as \
                 \"api.example\", \"*.example\" for all names below one, an IPv4 address, or an \
                 IPv6 address in brackets"
            )
        );
    }
    let label = "a".repeat(64);
    assert_ne!(errors(&format!(r#"{{"hosts": ["{label}.example"]}}"#)), "");
    let longest = "abc.".repeat(63) + "a";
    assert_eq!(errors(&format!(r#"{{"hosts": ["{longest}"]}}"#)), "");
    assert_ne!(errors(&format!(r#"{{"hosts": ["{longest}b"]}}"#)), "");
}

#[test]
fn exactly_one_condition_is_expected() {
    assert_eq!(
        errors(r#"{"path": {}}"#),
        "$.path: found none; expected exactly one of: exact, prefix, regex"
    );
    assert_eq!(
        errors(r#"{"path": {"exact": "/a", "prefix": "/b"}}"#),
        "$.path: found exact, prefix; expected exactly one of: exact, prefix, regex"
    );
    assert_eq!(
        errors(r#"{"headers": [{"name": "a"}, {"name": "a", "exact": "1", "present": true}]}"#),
        "$.headers[0]: found none; expected exactly one of: exact, prefix, regex, present\n\
         $.headers[1]: found exact, present; expected exactly one of: exact, prefix, regex, \
         present"
    );
    assert_eq!(
        errors(r#"{"path": "/api/", "pth": 1, "headers": [{"exact": "1"}]}"#),
        "$.path: found \"/api/\"; expected an object with exactly one of exact, prefix, regex, such as {\"prefix\": \"/api/\"}\n\
         $.pth: unknown field; allowed: path, methods, hosts, headers, route, remote_address, claims, not\n\
         $.headers[0]: required field \"name\" is missing"
    );
    assert_eq!(
        errors(r#"{"path": {"suffix": "/a"}}"#),
        "$.path.suffix: unknown field; allowed: exact, prefix, regex"
    );
}

proptest! {
    /// Every text either makes a rule or is refused with its path.
    #[test]
    fn no_text_in_a_rule_makes_it_panic(
        text: String,
        regex in r"[/a-cé(){}|*+?.^$,0-9\\\[\]-]{0,12}",
    ) {
        for (rule, path) in [
            (json!({"path": {"exact": text}}), "$.path.exact: "),
            (json!({"path": {"prefix": text}}), "$.path.prefix: "),
            (json!({"path": {"regex": regex}}), "$.path.regex: "),
            (json!({"hosts": [text]}), "$.hosts[0]: "),
            (json!({"methods": [text]}), "$.methods[0]: "),
            (json!({"headers": [{"name": text, "present": true}]}), "$.headers[0].name: "),
        ] {
            let errors = errors(&rule.to_string());
            prop_assert!(errors.is_empty() || errors.starts_with(path), "{}", errors);
        }
    }
}
