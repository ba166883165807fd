use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn defaults_yield_to_the_upstream_and_that_is_counted() {
    let mut response = message([
        (":status", "200"),
        ("content-security-policy", "default-src https:"),
        ("content-security-policy", "object-src 'none'"),
        ("x-frame-options", ""),
    ]);
    let outcome = policy(&json!({})).on_response(&Selection::default(), None, true, &mut response);
    assert_eq!(outcome.kept_from_upstream, 2);
    assert_eq!(
        all(&response, "content-security-policy"),
        ["default-src https:", "object-src 'none'"]
    );
    assert_eq!(one(&response, "x-frame-options").as_deref(), Some(""));
    assert_eq!(
        one(&response, "x-content-type-options").as_deref(),
        Some("nosniff")
    );
}

#[test]
fn overriding_leaves_exactly_one_line() {
    let mut response = message([
        ("x-frame-options", "ALLOWALL"),
        ("vary", "accept"),
        ("x-frame-options", "DENY"),
    ]);
    let outcome = policy(&json!({"override_upstream": true})).on_response(
        &Selection::default(),
        None,
        false,
        &mut response,
    );
    assert_eq!(outcome.kept_from_upstream, 0);
    assert_eq!(all(&response, "x-frame-options"), ["SAMEORIGIN"]);
    assert_eq!(all(&response, "vary"), ["accept"]);
}

fn single(action: &str, value: Option<&str>) -> Value {
    let mut entry = json!({"name": "Vary", "action": action});
    if let Some(value) = value {
        entry["value"] = value.into();
    }
    json!({"preset": "none", "headers": [entry]})
}

#[test]
fn set_replaces_every_line() {
    let set = single("set", Some("origin"));
    assert_eq!(
        all(
            &respond(&set, message([("vary", "a"), ("vary", "b")])),
            "vary"
        ),
        ["origin"]
    );
    assert_eq!(
        all(&respond(&set, HeaderMap::default()), "vary"),
        ["origin"]
    );
}

#[test]
fn set_if_absent_yields_to_the_upstream_and_that_is_counted() {
    let policy = policy(&single("set_if_absent", Some("origin")));
    let mut theirs = message([("vary", "")]);
    let outcome = policy.on_response(&Selection::default(), None, false, &mut theirs);
    assert_eq!(
        (all(&theirs, "vary"), outcome.kept_from_upstream),
        (vec![String::new()], 1)
    );

    let mut absent = HeaderMap::default();
    let outcome = policy.on_response(&Selection::default(), None, false, &mut absent);
    assert_eq!(
        (all(&absent, "vary"), outcome.kept_from_upstream),
        (vec!["origin".into()], 0)
    );
}

#[test]
fn append_adds_what_is_not_listed_yet() {
    let after = |value: &str, lines: &[&'static str]| {
        let lines = lines
            .iter()
            .map(|line| ("vary".into(), (*line).into()))
            .collect();
        all(
            &respond(&single("append", Some(value)), HeaderMap::new(lines)),
            "vary",
        )
    };
    assert_eq!(after("origin", &[]), ["origin"]);
    assert_eq!(after("origin", &["accept"]), ["accept", "origin"]);
    assert_eq!(
        after("origin", &["accept", "cookie"]),
        ["accept", "cookie", "origin"]
    );
    assert_eq!(after("origin", &["original"]), ["original", "origin"]);
    for there in [
        &["accept , Origin,x"][..],
        &["accept", "ORIGIN"],
        &["origin"],
    ] {
        assert_eq!(after("origin", there), there);
    }
    assert_eq!(after("a, b", &["a, b"]), ["a, b"]);
    assert_eq!(after("a, b", &["a", "b"]), ["a", "b", "a, b"]);
}

#[test]
fn remove_removes_every_line() {
    let remove = single("remove", None);
    let response = respond(&remove, message([("vary", "a"), ("x", "1"), ("vary", "b")]));
    assert_eq!(lines(&response), ["x: 1"]);
    assert!(!respond(&remove, message([("x", "1")])).is_changed());
}

#[test]
fn entries_apply_in_order() {
    let config = json!({"preset": "none", "headers": [
        {"name": "link", "value": "<a>", "action": "set"},
        {"name": "LINK", "value": "<b>", "action": "append"}]});
    assert_eq!(
        all(&respond(&config, message([("link", "<x>")])), "link"),
        ["<a>", "<b>"]
    );
}

/// Any entry of `headers` replaces the default.
#[test]
fn headers_win_over_defaults() {
    let frame_options = |action: &str, value: Value, response: HeaderMap| {
        let mut entry = json!({"name": "x-frame-options", "action": action});
        if !value.is_null() {
            entry["value"] = value;
        }
        let config = json!({"override_upstream": true, "headers": [entry]});
        all(&respond(&config, response), "x-frame-options")
    };
    let theirs = || message([("x-frame-options", "theirs")]);
    let absent = HeaderMap::default;
    assert_eq!(frame_options("set", "DENY".into(), theirs()), ["DENY"]);
    assert_eq!(
        frame_options("set_if_absent", "DENY".into(), absent()),
        ["DENY"]
    );
    assert_eq!(
        frame_options("set_if_absent", "DENY".into(), theirs()),
        ["theirs"]
    );
    assert_eq!(frame_options("remove", Value::Null, absent()), [""; 0]);
    assert_eq!(frame_options("remove", Value::Null, theirs()), [""; 0]);
    assert_eq!(
        frame_options("append", "DENY".into(), absent()),
        ["SAMEORIGIN", "DENY"]
    );
}

fn any_response() -> impl Strategy<Value = HeaderMap> {
    let name = prop::sample::select(vec![
        ":status",
        "set-cookie",
        "vary",
        "x-frame-options",
        "x-powered-by",
        "content-security-policy",
        "cache-control",
        "content-type",
        "server",
    ]);
    let value = prop_oneof![
        Just(b"origin, b".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec((name, value), 0..12).prop_map(|headers| {
        let entries = headers
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        HeaderMap::new(entries.collect())
    })
}

fn any_config() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["vary", "x-frame-options", "x-powered-by", "x-new"]);
    let entry = (name, 0..4).prop_map(|(name, action)| match action {
        0 => json!({"name": name, "action": "set", "value": "b"}),
        1 => json!({"name": name, "action": "set_if_absent", "value": "b"}),
        2 => json!({"name": name, "action": "append", "value": "b"}),
        _ => json!({"name": name, "action": "remove"}),
    });
    let preset = prop::sample::select(vec!["helmet", "owasp", "strict", "api", "none"]);
    (preset, any::<bool>(), prop::collection::vec(entry, 0..4)).prop_map(
        |(preset, override_upstream, headers)| {
            json!({"preset": preset, "override_upstream": override_upstream, "headers": headers})
        },
    )
}

fn owned((name, value): (&[u8], &[u8])) -> (Vec<u8>, Vec<u8>) {
    (name.to_vec(), value.to_vec())
}

proptest! {
    /// A second pass of the policy (at a second proxy, say) changes nothing but the order of different headers.
    #[test]
    fn a_second_pass_changes_nothing(config in any_config(), response in any_response()) {
        let once = respond_over(true, &config, response);
        let twice = respond_over(true, &config, once.without_changes());
        let by_name = |headers: &HeaderMap| {
            let mut entries: Vec<_> = headers.iter().map(owned).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries
        };
        prop_assert_eq!(by_name(&once), by_name(&twice));
    }

    /// Headers that the policy does not name stay, byte for byte and in order.
    #[test]
    fn other_headers_are_left_alone(config in any_config(), response in any_response()) {
        let others = |headers: &HeaderMap| {
            let is_other = |name: &[u8]| [":status", "set-cookie", "content-type"].iter()
                .any(|other| name == other.as_bytes());
            headers.iter().filter(|(name, _)| is_other(name)).map(owned).collect::<Vec<_>>()
        };
        let before = others(&response);
        prop_assert_eq!(others(&respond_over(true, &config, response)), before);
    }

    #[test]
    fn headers_that_are_set_or_removed_are_so(config in any_config(), response in any_response()) {
        let after = respond(&config, response);
        let empty = Vec::new();
        let entries = config["headers"].as_array().unwrap_or(&empty);
        for (i, entry) in entries.iter().enumerate() {
            let name = entry["name"].as_str().unwrap();
            if entries.iter().skip(i + 1).any(|later| later["name"] == name) {
                continue;
            }
            match entry["action"].as_str().unwrap() {
                "set" => prop_assert_eq!(all(&after, name), ["b"]),
                "remove" => prop_assert!(!after.contains(name)),
                _ => prop_assert!(after.contains(name)),
            }
        }
    }
}
