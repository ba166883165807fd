//! The format of a remote list.

use proptest::prelude::*;
use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::remote::MAX_BODY;

fn error(text: &[u8]) -> String {
    RevocationList::parse(text, &seed())
        .unwrap_err()
        .to_string()
}

/// The error of a list with this entry.
fn entry_error(entry: &str) -> String {
    error(format!("{{\"revoked\": [{entry}]}}").as_bytes())
}

#[test]
fn a_list_is_read() {
    let list = parse(
        r#"{"revoked": [
            {"iss": "https://idp.example", "jti": "a", "exp": 1700000000},
            {"jti": "b", "iss": "https://idp.example"},
            {"iss": "https://idp.example", "jti": "c", "exp": null},
            {"iss": "https:\/\/idp.example", "jti": "\u0064", "why": {"code": [1, 2]}}
        ], "updated": "2026-01-01"}"#,
    );
    assert_eq!(list.len(), 4);
    for jti in ["a", "b", "c", "d"] {
        assert!(list.contains(IDP, jti, NOW, SKEW), "{jti}");
    }
}

#[test]
fn a_list_may_be_empty_but_must_be_there() {
    assert!(parse(r#"{"revoked": []}"#).is_empty());
    for text in ["{}", r#"{"error": "overloaded"}"#, r#"{"Revoked": []}"#] {
        assert!(
            error(text.as_bytes()).contains("missing field `revoked`"),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_list_is_refused() {
    let list = r#"{"revoked": [{"iss": "a", "jti": "b"}]}"#;
    for text in [
        "",
        "null",
        "[]",
        r#"[[{"iss": "a", "jti": "b"}]]"#,
        r#"{"revoked": null}"#,
        r#"{"revoked": {}}"#,
        r#"{"revoked": "b"}"#,
        r#"{"revoked": [], "revoked": []}"#,
        "<html></html>",
        &format!("{list}{list}"),
        &format!("{list},"),
        &format!("\u{feff}{list}"),
        list.trim_end_matches('}'),
        &format!("{}{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)),
        &format!(r#"{{"revoked": [], "a": {}}}"#, "[".repeat(500_000)),
    ] {
        let found = error(text.as_bytes());
        assert!(found.starts_with("not a revocation list: "), "{found}");
    }
    assert!(error(b"{\"revoked\": [{\"iss\": \"\xff\", \"jti\": \"b\"}]}").contains("unicode"));
}

/// One bad entry makes the whole list invalid: otherwise an operator would believe that the entry is in force.
#[test]
fn a_bad_entry_spoils_the_list() {
    for (entry, problem) in [
        (r#"{"jti": "b"}"#, "missing field `iss`"),
        (r#"{"iss": "a"}"#, "missing field `jti`"),
        (r#"{"iss": "", "jti": "b"}"#, "a string that is not empty"),
        (r#"{"iss": "a", "jti": ""}"#, "a string that is not empty"),
        (r#"{"iss": "a", "jti": 5}"#, "expected a string"),
        (r#"{"iss": ["a"], "jti": "b"}"#, "expected a string"),
        (r#"{"iss": "a", "jti": null}"#, "expected a string"),
        (r#"{"iss": "a", "jti": "\ud800"}"#, "hex escape"),
        (
            r#"{"iss": "a", "iss": "c", "jti": "b"}"#,
            "duplicate field `iss`",
        ),
        (
            r#"{"iss": "a", "jti": "b", "\u006ati": "c"}"#,
            "duplicate field `jti`",
        ),
        (
            r#"{"iss": "a", "jti": "b", "exp": 1, "exp": 2}"#,
            "duplicate field `exp`",
        ),
        (
            r#"{"iss": "a", "jti": "b", "exp": "1700000000"}"#,
            "expected a JSON number",
        ),
        (
            r#"{"iss": "a", "jti": "b", "exp": true}"#,
            "expected a JSON number",
        ),
        (
            r#"{"iss": "a", "jti": "b", "exp": 1e999}"#,
            "number out of range",
        ),
        (r#"["a", "b", 1]"#, "expected an object"),
        (r#""b""#, "expected an object"),
        ("null", "expected an object"),
    ] {
        let found = entry_error(entry);
        assert!(found.contains(problem), "{entry}: {found}");
        let found = entry_error(&format!(r#"{{"iss": "a", "jti": "c"}}, {entry}"#));
        assert!(found.contains(problem), "{entry}: {found}");
    }
}

#[test]
fn an_exp_is_any_number() {
    for (exp, last) in [
        ("1700000000", SECONDS - 1),
        ("1700000000.0", SECONDS - 1),
        ("1699999999.001", SECONDS - 1),
        ("1.7e9", SECONDS - 1),
        ("1e300", u64::MAX),
        ("18446744073709551615", u64::MAX),
        ("1", 0),
    ] {
        let list = parse(&format!(
            r#"{{"revoked": [{{"iss": "{IDP}", "jti": "a", "exp": {exp}}}]}}"#
        ));
        assert!(list.contains(IDP, "a", UnixSeconds::new(last), 0), "{exp}");
        if last < u64::MAX {
            assert!(
                !list.contains(IDP, "a", UnixSeconds::new(last + 1), 0),
                "{exp}"
            );
        }
    }
    for exp in ["0", "-0.5", "-1", "-1e300", "-9223372036854775808"] {
        let list = parse(&format!(
            r#"{{"revoked": [{{"iss": "{IDP}", "jti": "a", "exp": {exp}}}]}}"#
        ));
        assert!(!list.contains(IDP, "a", UnixSeconds::new(0), 0), "{exp}");
    }
}

#[test]
fn a_list_has_at_most_a_mebibyte() {
    let text = |padding: usize| format!("{}{}", r#"{"revoked": []}"#, " ".repeat(padding));
    let padding = MAX_BODY - text(0).len();
    assert!(parse(&text(padding)).is_empty());
    assert_eq!(
        error(text(padding + 1).as_bytes()),
        "not a revocation list: found 1048577 bytes; expected at most 1048576"
    );
}

/// A list of almost maximum size, with entries of typical length.
#[test]
fn ten_thousand_entries_fit() {
    let jti = |i: u32| format!("{i:08x}-0000-4000-8000-000000000000");
    let entries = (0..10_000).map(|i| json!({"iss": IDP, "jti": jti(i), "exp": SECONDS + 1}));
    let text = json!({"revoked": entries.collect::<Vec<_>>()}).to_string();
    let list = parse(&text);
    assert_eq!(list.len(), 10_000);
    let is_revoked = |i: u32| list.contains(IDP, &jti(i), NOW, SKEW);
    assert!((0..10_000).all(is_revoked));
    assert!(!(10_000..20_000).any(is_revoked));
}

proptest! {
    /// Nothing panics, and an accepted list has at most its own entries.
    #[test]
    fn garbage_is_a_list_or_not(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        at in any::<prop::sample::Index>(),
        is_inserted: bool,
    ) {
        let entries = json!([{"iss": IDP, "jti": "a", "exp": SECONDS}, {"iss": IDP, "jti": "b"}]);
        let mut text = json!({"revoked": entries}).to_string().into_bytes();
        let at = at.index(text.len());
        if is_inserted {
            text.splice(at..at, bytes);
        } else {
            let end = text.len().min(at + bytes.len());
            text.splice(at..end, bytes);
        }
        if let Ok(list) = RevocationList::parse(&text, &seed()) {
            prop_assert!(list.len() <= 2);
        }
    }

    #[test]
    fn an_error_is_short_and_in_one_line(text in any::<String>(), times in 1..200_usize) {
        let jti = text.repeat(times);
        prop_assume!(jti.len() < MAX_BODY / 8);
        let list = json!({"revoked": jti}).to_string();
        let found = error(list.as_bytes());
        prop_assert!(found.chars().count() < 250 && !found.contains(char::is_control), "{found}");
    }
}
