//! The error reports that users see.

use std::collections::BTreeMap;

use portcullis_core::config::{self, Document, Duration, Errors, Mode, Name};
use proptest::prelude::*;
use serde::Deserialize;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A configuration with all kinds of fields that plugins have.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    name: Name,
    mode: Mode,
    window: Option<Duration>,
    weight: Option<f64>,
    share: Share,
    limits: Vec<Limit>,
    labels: BTreeMap<Name, u8>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    name: Name,
    requests: u32,
    key: Option<Key>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Address,
    Header(Name),
}

/// Two fields that depend on each other.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "ShareFields")]
struct Share {
    low: u8,
    high: u8,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShareFields {
    low: u8,
    high: Option<u8>,
}

impl TryFrom<ShareFields> for Share {
    type Error = String;

    fn try_from(ShareFields { low, high }: ShareFields) -> Result<Self, String> {
        let high = high.unwrap_or(0);
        if low > high {
            return Err(format!("low is {low}, but high only {high}"));
        }
        Ok(Self { low, high })
    }
}

fn read(text: &str) -> Result<Config, Errors> {
    config::read(text.as_bytes())
}

/// The error report, one line per error; empty if the configuration is valid.
fn report(text: &str) -> Vec<String> {
    let result = read(text).map(|_| String::new());
    let report = result.unwrap_or_else(|errors| errors.to_string());
    report.lines().map(str::to_owned).collect()
}

const DURATION: &str = "a duration from \"0s\" to \"3652500d\", written as a whole number and one of ms, s, m, \
                        h, d";

#[test]
fn a_valid_configuration_is_read() {
    let text = r#"
        {"name": "edge", "mode": "shadow", "window": "1m", "weight": 0.5,
         "share": {"low": 1, "high": 2}, "labels": {"a": 1},
         "limits": [{"name": "a", "requests": 5, "key": "address"},
                    {"name": "b", "requests": 6, "key": {"header": "x-id"}},
                    {"name": "c", "requests": 7, "key": null}]}"#;
    let config = read(text).unwrap();
    assert_eq!(config.name.as_str(), "edge");
    assert_eq!(config.mode, Mode::Shadow);
    assert_eq!(config.window, Some(Duration::from_secs(60)));
    let keys: Vec<_> = config.limits.iter().map(|limit| &limit.key).collect();
    let header = Key::Header(config::read(br#""x-id""#).unwrap());
    assert_eq!(keys, [&Some(Key::Address), &Some(header), &None]);
}

#[test]
fn nothing_at_all_means_the_defaults() {
    assert_eq!(read("").unwrap(), Config::default());
    assert_eq!(read("").unwrap(), read("{}").unwrap());
}

#[test]
fn all_errors_are_reported_at_once() {
    let text = r#"{
        "naem": "edge",
        "mode": "shadwo",
        "window": "10 s",
        "share": {"low": 300, "medium": 1},
        "limits": [
            {"name": "ok", "requests": 1},
            {"name": "no spaces", "requests": -1, "burst": 2, "burst": 3},
            "five",
            {"name": "ok", "requests": 1.0, "key": {"header": 5}}
        ],
        "labels": {"a b": 1, "c": "1"}
    }"#;
    assert_eq!(
        report(text),
        [
            "$.limits[1].burst: given twice; allowed: once",
            "$.naem: unknown field; allowed: name, mode, window, weight, share, limits, labels",
            "$.mode: found \"shadwo\"; allowed: enforce, shadow, off",
            &format!("$.window: found \"10 s\"; expected {DURATION}"),
            "$.share.low: found 300; expected a whole number from 0 to 255",
            "$.share.medium: unknown field; allowed: low, high",
            "$.limits[1].name: found \"no spaces\"; \
             expected a name: 1 to 64 of A-Z a-z 0-9 _ - . /",
            "$.limits[1].requests: found -1; expected a whole number from 0 to 4294967295",
            "$.limits[1].burst: unknown field; allowed: name, requests, key",
            "$.limits[2]: found \"five\"; expected an object with the fields: name, requests, key",
            "$.limits[3].requests: found 1.0; expected a whole number from 0 to 4294967295",
            "$.limits[3].key.header: found 5; expected a name: 1 to 64 of A-Z a-z 0-9 _ - . /",
            "$.labels[\"a b\"]: found \"a b\"; expected a name: 1 to 64 of A-Z a-z 0-9 _ - . /",
            "$.labels.c: found \"1\"; expected a whole number from 0 to 255",
        ]
    );
}

#[test]
fn wrong_types_are_named_in_the_terms_of_json() {
    let wrong = [
        (
            "[]",
            "$: found an array; expected an object with the fields: name, mode, window, weight, share, limits, labels",
        ),
        (
            "null",
            "$: found null; expected an object with the fields: name, mode, window, weight, share, limits, labels",
        ),
        (
            r#"{"weight": "1"}"#,
            "$.weight: found \"1\"; expected a number",
        ),
        (
            r#"{"limits": {}}"#,
            "$.limits: found an object; expected an array",
        ),
        (
            r#"{"limits": [[]]}"#,
            "$.limits[0]: found an array; expected an object with the fields: name, requests, key",
        ),
        (
            r#"{"labels": true}"#,
            "$.labels: found true; expected an object",
        ),
        (
            r#"{"mode": 1}"#,
            "$.mode: found 1; expected one of: enforce, shadow, off",
        ),
        (
            r#"{"mode": {"off": true}}"#,
            "$.mode.off: found an object; expected just \"off\"",
        ),
        (
            r#"{"limits": [{"name": "a", "requests": 1, "key": "header"}]}"#,
            "$.limits[0].key: found \"header\"; expected an object {\"header\": …}",
        ),
        (
            r#"{"limits": [{"name": "a", "requests": 1, "key": {}}]}"#,
            "$.limits[0].key: found an object without members; \
             expected exactly one of: address, header",
        ),
        (
            r#"{"limits": [{"name": "a", "requests": 1, "key": {"address": 1, "header": "a"}}]}"#,
            "$.limits[0].key: found \"address\" and \"header\"; \
             expected exactly one of: address, header",
        ),
    ];
    for (text, expected) in wrong {
        assert_eq!(report(text), [expected], "{text}");
    }
}

#[test]
fn a_missing_field_is_reported_beside_other_errors() {
    assert_eq!(
        report(r#"{"limits": [{"name": "a", "burst": 1}, {"requests": 1}]}"#),
        [
            "$.limits[0].burst: unknown field; allowed: name, requests, key",
            "$.limits[0]: required field \"requests\" is missing",
            "$.limits[1]: required field \"name\" is missing",
        ]
    );
}

#[test]
fn consequences_of_an_error_are_not_reported() {
    // Without the wrong part, `requests` is missing and `low` is above `high`.
    assert_eq!(
        report(r#"{"limits": [{"name": "a", "requests": "1"}], "share": {"low": 1, "high": "2"}}"#),
        [
            "$.limits[0].requests: found \"1\"; expected a whole number from 0 to 4294967295",
            "$.share.high: found \"2\"; expected a whole number from 0 to 255",
        ]
    );
    assert_eq!(
        report(r#"{"share": {"low": 2, "high": 1}}"#),
        ["$.share: low is 2, but high only 1"]
    );
}

#[test]
fn members_whose_names_start_alike_are_told_apart() {
    assert_eq!(
        report(r#"{"mode": "off", "modes": 1, "share": {}, "shared": {"low": 1}}"#),
        [
            "$.modes: unknown field; allowed: name, mode, window, weight, share, limits, labels",
            "$.shared: unknown field; allowed: name, mode, window, weight, share, limits, labels",
        ]
    );
}

#[test]
fn the_place_in_an_array_is_that_in_the_text() {
    let text = r#"{"limits": [1, {"name": "a", "requests": 1}, 2,
                              {"name": "a", "requests": 3, "key": 4}]}"#;
    let errors = read(text).unwrap_err();
    let paths: Vec<_> = errors.iter().map(config::Error::path).collect();
    assert_eq!(paths, ["$.limits[0]", "$.limits[2]", "$.limits[3].key"]);
}

#[test]
fn nested_arrays_keep_their_places_too() {
    let errors = config::read::<Vec<Vec<u8>>>(b"[[1, -1, 2, -1], 5, [], [256]]").unwrap_err();
    let paths: Vec<_> = errors.iter().map(config::Error::path).collect();
    assert_eq!(paths, ["$[0][1]", "$[0][3]", "$[1]", "$[3][0]"]);
}

#[test]
fn a_report_ends() {
    let numbers = vec!["-1"; 1000].join(", ");
    let errors = config::read::<Vec<u8>>(format!("[{numbers}]").as_bytes()).unwrap_err();
    assert_eq!(errors.iter().count(), 51);
    assert_eq!(
        errors.to_string().lines().last(),
        Some("$: 50 errors or more; these are the first")
    );

    let twice: Vec<_> = (0..1000).map(|i| format!(r#""m{}": 1"#, i / 2)).collect();
    let errors = read(&format!("{{{}}}", twice.join(", "))).unwrap_err();
    assert_eq!(errors.iter().count(), 51);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    assert_eq!(
        report("{\"name\": \"edge\",}"),
        ["$: not valid JSON: trailing comma at line 1 column 17"]
    );
    assert_eq!(
        report("{} {}"),
        ["$: not valid JSON: trailing characters at line 1 column 4"]
    );
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for depth in [200, 100_000] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        let report = report(&text);
        assert!(report[0].contains("recursion limit exceeded"), "{report:?}");
    }
    let errors = config::read::<Vec<u8>>(("[".repeat(120) + &"]".repeat(120)).as_bytes());
    assert_eq!(
        errors.unwrap_err().to_string(),
        "$[0]: found an array; expected a whole number from 0 to 255"
    );
}

#[test]
fn a_struct_is_recognised() {
    // {"name": "edge"} as google.protobuf.Struct; in the second one the length of the field,
    // 123, looks like an opening brace.
    let short = b"\x0a\x0e\x0a\x04name\x12\x06\x1a\x04edge".to_vec();
    let mut long = b"\x0a\x7b\x0a\x04name\x12\x73\x1a\x71".to_vec();
    long.extend([b'x'; 113]);
    for text in [short, long] {
        let errors = config::read::<Config>(&text).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "$: found protobuf, not JSON: the configuration was given as a google.protobuf.Struct, \
             which Envoy does not convert; use \"@type\": \
             type.googleapis.com/google.protobuf.StringValue with the JSON text as its value"
        );
    }
}

#[test]
fn text_that_starts_with_an_empty_line_is_no_struct() {
    assert_eq!(
        read("\n{\"name\": \"edge\"}").unwrap().name.as_str(),
        "edge"
    );
    assert_eq!(
        report("\n{\"name\": edge}"),
        ["$: not valid JSON: expected value at line 2 column 10"]
    );
    assert_eq!(
        report("\nname: edge"),
        ["$: not valid JSON: expected ident at line 2 column 2"]
    );
}

#[test]
fn a_member_can_be_read_on_its_own() {
    let text =
        br#"{"name": "edge", "limit": {"name": "a", "requests": 1, "name": "b"}, "mode": 1}"#;
    let mut document = Document::parse(text).unwrap();
    assert!(document.take("absent").is_none());
    let limit = document.take("limit").unwrap();
    assert!(document.take("limit").is_none());

    assert_eq!(
        limit.read::<Limit>().unwrap_err().to_string(),
        "$.limit.name: given twice; allowed: once"
    );
    assert_eq!(
        document.read::<Config>().unwrap_err().to_string(),
        "$.mode: found 1; expected one of: enforce, shadow, off"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = config::read::<Config>(&bytes);
    }

    /// No report is empty, and errors in valid JSON have a path.
    #[test]
    fn no_json_makes_it_panic_or_go_on_for_ever(text in json()) {
        if let Err(errors) = read(&text) {
            let errors: Vec<_> = errors.iter().collect();
            prop_assert!((1..=51).contains(&errors.len()));
            for (i, error) in errors.iter().enumerate() {
                prop_assert!(error.path().starts_with('$') && !error.message().is_empty());
                prop_assert!(!errors[..i].contains(error), "reported twice: {error}");
            }
        }
    }
}

/// JSON texts whose members have the names that `Config` knows.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        (-3..300_i32).prop_map(|value| value.to_string()),
        prop::sample::select(&["\"\"", "\"a\"", "\"off\"", "\"10s\"", "\"address\"", "1.5"][..])
            .prop_map(str::to_owned),
    ];
    let member = prop::sample::select(
        &[
            "name", "mode", "window", "weight", "share", "limits", "labels", "low", "high",
            "requests", "key", "address", "header", "x y",
        ][..],
    );
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((member.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{name:?}: {value}"))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}
