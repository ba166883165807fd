//! Strict JSON.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn fault(text: &str) -> Option<JsonError> {
    Object::parse(text.as_bytes()).err()
}

#[test]
fn a_name_stands_once_in_each_object() {
    for twice in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":null}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[1,{"b":[{"c":1,"c":1}]}]}"#,
        // The same name in another spelling.
        r#"{"sub":1,"s\u0075b":2}"#,
    ] {
        assert_eq!(fault(twice), Some(JsonError::DuplicateMember), "{twice}");
    }
    assert_eq!(
        fault(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"A":1}"#),
        None
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!(
            r#"{{"a":{}1{}}}"#,
            open.repeat(depth - 1),
            close.repeat(depth - 1)
        )
    };
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        assert_eq!(fault(&nested(MAX_DEPTH, open, close)), None);
        for depth in [MAX_DEPTH + 1, 1_000, 5_000] {
            assert_eq!(fault(&nested(depth, open, close)), Some(JsonError::TooDeep));
        }
    }
}

#[test]
fn only_an_object_and_nothing_behind_it() {
    for (text, expected) in [
        ("", JsonError::Syntax),
        ("{", JsonError::Syntax),
        ("{}{}", JsonError::Syntax),
        ("{} x", JsonError::Syntax),
        ("{a:1}", JsonError::Syntax),
        (r#"{"a":1,}"#, JsonError::Syntax),
        (r#"{"a":NaN}"#, JsonError::Syntax),
        (r#"{"a":01}"#, JsonError::Syntax),
        (r#"{"a":1e999}"#, JsonError::Syntax),
        (r#"{"a":"\ud800"}"#, JsonError::Syntax),
        ("\u{feff}{}", JsonError::Syntax),
        ("[]", JsonError::NotAnObject),
        ("\"text\"", JsonError::NotAnObject),
        ("null", JsonError::NotAnObject),
    ] {
        assert_eq!(fault(text), Some(expected), "{text}");
    }
    assert_eq!(Object::parse(b"{\"a\":\"\xff\"}"), Err(JsonError::Syntax));
    assert_eq!(fault(" {} \r\n"), None);
}

#[test]
fn a_path_leads_through_objects() {
    let object = Object::parse(
        br#"{"sub":"ada","realm":{"tenant":"t","deep":{"er":1}},"list":[{"a":1}],"none":null}"#,
    )
    .unwrap();
    assert_eq!(object.at("sub"), Some(&json!("ada")));
    assert_eq!(object.at("realm.tenant"), Some(&json!("t")));
    assert_eq!(object.at("realm.deep.er"), Some(&json!(1)));
    assert_eq!(object.at("none"), Some(&Value::Null));
    for nothing in [
        "",
        ".",
        "realm.",
        ".realm",
        "realm.x",
        "sub.x",
        "list.a",
        "list.0",
        "realm.deep.",
    ] {
        assert_eq!(object.at(nothing), None, "{nothing}");
    }
    assert_eq!(object.get("realm.tenant"), None);
}

/// As in rate-limit's key `{"claim": …}`, the whole name wins.
#[test]
fn names_may_have_dots() {
    let object = Object::parse(
        br#"{"https://shop.example/tenant":"a","a.b":"whole","a":{"b":"divided","b.c":"short"},"a.b.d":1,
            "x.y":{"z":"long"},"x":{"y.z":"short"},"e.":{"":"ends"}}"#,
    )
    .unwrap();
    assert_eq!(object.at("https://shop.example/tenant"), Some(&json!("a")));
    assert_eq!(object.at("a.b"), Some(&json!("whole")));
    assert_eq!(object.at("a.b.c"), Some(&json!("short")));
    assert_eq!(object.at("x.y.z"), Some(&json!("long")));
    assert_eq!(object.at("e.."), Some(&json!("ends")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_can_be_read(text: Vec<u8>) {
        let _ = Object::parse(&text);
    }

    #[test]
    fn any_path_can_be_followed(path in "[ab.]{0,12}") {
        let object = Object::parse(br#"{"a":{"b":{"a":{"":1}},"a.b":2},".":{"a":3},"":{"":4}}"#).unwrap();
        let _ = object.at(&path);
    }
}
