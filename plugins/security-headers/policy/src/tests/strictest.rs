use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::strictest::{self, HeaderLines};

/// The lines of a header in the response, if the certain rule leaves it at `certain` and a possible rule sets it to
/// `possible`. Empty: no header.
fn joined(name: &'static str, certain: &'static str, possible: &str) -> Vec<String> {
    let entry = match possible {
        "" => json!({"name": name, "action": "remove"}),
        value => json!({"name": name, "action": "set", "value": value}),
    };
    let policy = policy(&json!({"preset": "none", "rules": [
        {"name": "r", "match": {"path": {"prefix": "/r/"}}, "headers": [entry]}]}));
    let selection = select(&policy, &path("/x/..;/r/"));
    assert_eq!(selection.possible().len(), 1);
    let mut response = HeaderMap::default();
    if !certain.is_empty() {
        response.append(name.into(), certain.into());
    }
    policy.on_response(&selection, None, true, &mut response);
    all(&response, name)
}

#[test]
fn the_stricter_value_is_sent() {
    for (name, strict, lax) in [
        ("x-frame-options", "DENY", "SAMEORIGIN"),
        ("x-frame-options", "SAMEORIGIN", ""),
        ("x-frame-options", "deny", "ALLOWALL"),
        ("referrer-policy", "no-referrer", "same-origin"),
        ("referrer-policy", "same-origin", ""),
        ("referrer-policy", "", "unsafe-url"),
        (
            "referrer-policy",
            "unsafe-url, no-referrer",
            "no-referrer, unsafe-url",
        ),
        ("x-content-type-options", "nosniff", ""),
        ("x-content-type-options", "NoSniff", "sniff"),
        ("cross-origin-opener-policy", "same-origin", "unsafe-none"),
        (
            "cross-origin-opener-policy",
            "same-origin; report-to=\"a\"",
            "same-origin-allow-popups",
        ),
        (
            "cross-origin-embedder-policy",
            "require-corp",
            "credentialless",
        ),
        ("cross-origin-embedder-policy", "", "unsafe-none"),
        (
            "cross-origin-resource-policy",
            "same-origin",
            "cross-origin",
        ),
        ("cross-origin-resource-policy", "same-site", ""),
        ("cross-origin-resource-policy", "", "cross-origin"),
        ("x-dns-prefetch-control", "off", "on"),
        ("x-permitted-cross-domain-policies", "none", "all"),
        (
            "strict-transport-security",
            "max-age=2; includeSubDomains",
            "max-age=1",
        ),
        ("strict-transport-security", "max-age=1", ""),
        ("strict-transport-security", "", "max-age=0"),
        ("strict-transport-security", "max-age=1", "bogus"),
        ("cache-control", "no-store", "public, max-age=60"),
        ("cache-control", "no-store", ""),
        ("cache-control", "", "public, max-age=60"),
        ("cache-control", "", "max-age=31536000"),
        ("cache-control", "private, no-cache", "no-cache"),
        ("permissions-policy", "camera=()", "camera=*"),
        ("permissions-policy", "camera=()", "camera=(self)"),
        (
            "permissions-policy",
            "camera=(self), usb=()",
            "camera=(self \"https://a.example\")",
        ),
        ("permissions-policy", "camera=()", ""),
        (
            "permissions-policy",
            "camera=()",
            "camera=(\"https://a.example\")",
        ),
        ("access-control-allow-origin", "", "*"),
        ("timing-allow-origin", "", "*"),
        ("expires", "", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ] {
        let expected: Vec<&str> = [strict]
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(
            joined(name, strict, lax),
            expected,
            "{name}: {strict} and {lax}"
        );
        assert_eq!(
            joined(name, lax, strict),
            expected,
            "{name}: {lax} and {strict}"
        );
    }
}

#[test]
fn if_neither_is_stricter_both_are_sent() {
    let both = |name, left: &'static str, right: &'static str| {
        (joined(name, left, right), joined(name, right, left))
    };
    let (left, right) = both("content-security-policy", "img-src *", "font-src *");
    assert_eq!(left, ["img-src *", "font-src *"]);
    assert_eq!(right, ["font-src *", "img-src *"]);
    for (name, left, right, expected) in [
        (
            "strict-transport-security",
            "max-age=2",
            "max-age=1; includeSubDomains",
            "max-age=2; includeSubDomains",
        ),
        ("cache-control", "private", "no-cache", "private, no-cache"),
        (
            "cache-control",
            "private, max-age=60",
            "",
            "private, no-cache",
        ),
        (
            "permissions-policy",
            "camera=(\"https://a.example\")",
            "camera=(\"https://b.example\")",
            "camera=()",
        ),
    ] {
        let (one, other) = both(name, left, right);
        assert_eq!(
            (&one[..], &other[..]),
            (&[expected.to_owned()][..], &[expected.to_owned()][..])
        );
    }
    let (one, other) = both("permissions-policy", "camera=()", "usb=()");
    assert_eq!(
        (&one[..], &other[..]),
        (
            &["camera=(), usb=()".to_owned()][..],
            &["usb=(), camera=()".to_owned()][..]
        )
    );
}

#[test]
fn other_headers_are_those_of_the_certain_rule_or_else_added_or_removed() {
    assert_eq!(joined("x-a", "theirs", "ours"), ["theirs"]);
    assert_eq!(joined("x-a", "", "ours"), ["ours"]);
    assert_eq!(joined("x-a", "theirs", ""), [""; 0]);
}

#[test]
fn cookies_get_every_attribute_and_the_stricter_same_site() {
    let policy = policy(
        &json!({"preset": "none", "cookies": {"http_only": true, "same_site": "None"},
        "rules": [{"name": "r", "match": {"path": {"prefix": "/r/"}},
            "cookies": {"secure": true, "same_site": "Strict"}}]}),
    );
    let cookies = |target| {
        let mut response = message([("set-cookie", "a=1"), ("set-cookie", "b=2; SameSite=Lax")]);
        policy.on_response(&select(&policy, &path(target)), None, true, &mut response);
        all(&response, "set-cookie")
    };
    assert_eq!(
        cookies("/"),
        [
            "a=1; Secure; HttpOnly; SameSite=None",
            "b=2; SameSite=Lax; HttpOnly"
        ]
    );
    assert_eq!(
        cookies("/x/..;/r/"),
        [
            "a=1; Secure; HttpOnly; SameSite=None; SameSite=Strict",
            "b=2; SameSite=Lax; HttpOnly; Secure"
        ]
    );
}

#[test]
fn several_possible_rules_all_count() {
    let policy = policy(&json!({"preset": "none", "rules": [
        {"name": "b", "match": {"path": {"prefix": "/a/b/"}}, "preset": "helmet"},
        {"name": "a", "match": {"path": {"prefix": "/a/"}}, "preset": "api"}]}));
    let selection = select(&policy, &path("/x/..;/a/b/c"));
    assert_eq!(selection.possible().len(), 2);
    let mut response = message([(":status", "200")]);
    policy.on_response(&selection, None, false, &mut response);
    assert_eq!(one(&response, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(
        one(&response, "x-frame-options").as_deref(),
        Some("SAMEORIGIN")
    );
    assert_eq!(all(&response, "content-security-policy").len(), 2);
}

fn any_rule() -> impl Strategy<Value = Value> {
    let entry = prop::sample::select(vec![
        json!({"name": "x-frame-options", "action": "set", "value": "SAMEORIGIN"}),
        json!({"name": "x-frame-options", "action": "remove"}),
        json!({"name": "cache-control", "action": "set", "value": "public, max-age=60"}),
        json!({"name": "referrer-policy", "action": "set", "value": "unsafe-url"}),
        json!({"name": "permissions-policy", "action": "set", "value": "camera=*, usb=(self)"}),
        json!({"name": "access-control-allow-origin", "action": "set", "value": "*"}),
        json!({"name": "vary", "action": "append", "value": "origin"}),
        json!({"name": "x-content-type-options", "action": "remove"}),
    ]);
    let preset = prop::sample::select(vec!["helmet", "owasp", "strict", "api", "none"]);
    let mode = prop::sample::select(vec!["enforce", "shadow", "off"]);
    (preset, mode, any::<bool>(), prop::collection::vec(entry, 0..3)).prop_map(
        |(preset, mode, override_upstream, headers)| {
            json!({"preset": preset, "mode": mode, "override_upstream": override_upstream, "headers": headers})
        },
    )
}

proptest! {
    /// If two rules may fit a request, nothing in the response is weaker than under either: joining it with the
    /// response of either rule changes nothing.
    #[test]
    fn no_reading_is_treated_more_mildly(
        top in any_rule(),
        rule in any_rule(),
        theirs in prop::sample::select(vec![
            ("x-frame-options", "DENY"), ("cache-control", "private"), ("x-a", "1"),
            ("content-security-policy", "default-src 'none'"), ("referrer-policy", "no-referrer"),
        ]),
    ) {
        let mut config = top;
        let mut rule = rule;
        rule["name"] = "r".into();
        rule["match"] = json!({"path": {"prefix": "/r/"}});
        config["rules"] = json!([rule]);
        let policy = policy(&config);
        let respond = |target| {
            let mut response = message([theirs]);
            policy.on_response(&select(&policy, &path(target)), None, true, &mut response);
            response.without_changes()
        };
        let both = respond("/x/..;/r/");
        let original = message([theirs]);
        for target in ["/", "/r/"] {
            let mut stricter = HeaderLines::of(&both);
            strictest::join(&mut stricter, &HeaderLines::of(&respond(target)), &HeaderLines::of(&original));
            prop_assert_eq!(stricter, HeaderLines::of(&both), "{}", target);
        }
    }
}
