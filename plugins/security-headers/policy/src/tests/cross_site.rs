use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::{Reason, Refusal};

/// The reason for which a POST to `authority` with these headers is refused, if any.
fn verdict(authority: &'static str, headers: &[(&'static str, &'static str)]) -> Option<Reason> {
    let policy = policy(&json!({"cross_site": {"trusted_origins": [
        "https://APP.example:443", "http://localhost:3000", "capacitor://localhost"]}}));
    let mut request = message([(":method", "POST"), (":authority", authority)]);
    for (name, value) in headers {
        request.append((*name).into(), (*value).into());
    }
    let refused = policy
        .on_request(&Selection::default(), &mut request, None)
        .refused?;
    assert!(refused.enforced);
    assert_eq!(
        policy.reply(refused).unwrap().details,
        "cross_site_refused{none}"
    );
    Some(refused.reason)
}

#[test]
fn safe_methods_pass() {
    let policy = policy(&json!({"cross_site": {}}));
    let is_refused = |method: &'static str| {
        let mut request = message([
            (":method", method),
            (":authority", "shop.example"),
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
        ]);
        policy
            .on_request(&Selection::default(), &mut request, None)
            .refused
            .is_some()
    };
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"] {
        assert!(!is_refused(method), "{method}");
    }
    for method in [
        "POST", "PUT", "PATCH", "DELETE", "CONNECT", "get", "PROPFIND", "",
    ] {
        assert!(is_refused(method), "{method}");
    }
}

/// An internal redirect leads to another host and leaves the origin unchanged.
#[test]
fn after_an_internal_redirect_the_host_that_was_asked_for_passes_too() {
    let redirected = |origin: &'static str, url: &'static str| {
        verdict(
            "backend.example",
            &[("origin", origin), ("x-envoy-original-url", url)],
        )
    };
    let shop = "https://shop.example";
    for url in [
        "https://shop.example/pay",
        "http://SHOP.example/pay",
        "https://shop.example:443/pay?x=://evil.example/",
        "https://shop.example",
    ] {
        assert_eq!(redirected(shop, url), None, "{url}");
    }
    for url in [
        "https://evil.example/pay",
        "https://evil.example/://shop.example",
        "https://shop.example.evil.example/pay",
        "https://shop.example:8443/pay",
        "shop.example",
        "",
    ] {
        assert_eq!(redirected(shop, url), Some(Reason::Origin), "{url}");
    }
    assert_eq!(redirected("null", "null://null"), Some(Reason::Origin));
    assert_eq!(
        verdict(
            "shop.example",
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", shop),
                ("x-envoy-original-url", "https://shop.example/"),
            ]
        ),
        Some(Reason::SecFetchSite)
    );
}

#[test]
fn sec_fetch_site_decides_where_it_is_present() {
    let site = |values: &[&'static str]| {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("sec-fetch-site", *value))
            .collect();
        verdict("shop.example", &headers)
    };
    assert_eq!(site(&["same-origin"]), None);
    assert_eq!(site(&["none"]), None);
    for value in [
        "cross-site",
        "same-site",
        "Same-Origin",
        "",
        "same-origin, none",
        "x",
    ] {
        assert_eq!(site(&[value]), Some(Reason::SecFetchSite), "{value}");
    }
    assert_eq!(
        site(&["same-origin", "cross-site"]),
        Some(Reason::SecFetchSite)
    );
    // The origin does not matter, whether it would pass or fail by itself.
    assert_eq!(
        verdict(
            "a.example",
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://a.example")
            ]
        ),
        Some(Reason::SecFetchSite)
    );
    assert_eq!(
        verdict(
            "a.example",
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://b.example")
            ]
        ),
        None
    );
}

#[test]
fn origin_must_be_the_host_where_sec_fetch_site_is_missing() {
    for (authority, origin) in [
        ("shop.example", "https://shop.example"),
        ("shop.example", "http://shop.example"),
        ("SHOP.example", "https://shop.EXAMPLE"),
        ("shop.example:443", "https://shop.example"),
        ("shop.example", "https://shop.example:443"),
        ("shop.example:80", "http://shop.example"),
        ("shop.example:8443", "https://shop.example:8443"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::1]", "http://[::1]:80"),
        ("[::1]:443", "https://[::1]"),
        ("shop.example", "http://shop.example:80"),
        ("shop.example:443", "https://shop.example:443"),
        ("shop.example:", "https://shop.example"),
    ] {
        assert_eq!(
            verdict(authority, &[("origin", origin)]),
            None,
            "{authority} {origin}"
        );
    }
    for (authority, origin) in [
        ("shop.example", "https://evil.example"),
        ("shop.example", "https://shop.example.evil.example"),
        ("shop.example", "https://evil.shop.example"),
        ("shop.example", "https://shop.example:8443"),
        ("shop.example:443", "http://shop.example"),
        ("shop.example:80", "https://shop.example"),
        // Another port is another origin, possibly of another service.
        ("shop.example", "http://shop.example:443"),
        ("shop.example", "https://shop.example:80"),
        ("shop.example:8443", "https://shop.example"),
        ("shop.example:", "https://shop.example:8443"),
        ("", "https://:443"),
        ("shop.example", "https://shop.example/"),
        ("shop.example", "https://user@shop.example"),
        ("shop.example", "shop.example"),
        ("shop.example", "ftp://shop.example"),
        ("shop.example", "chrome-extension://shop.example"),
        ("shop.example", "null"),
        ("null", "null"),
        ("shop.example", ""),
        ("shop.example", "\u{e9}"),
        ("", "https://"),
        (":443", "https://"),
        ("[::1]", "http://[::2]"),
    ] {
        let found = verdict(authority, &[("origin", origin)]);
        assert_eq!(found, Some(Reason::Origin), "{authority} {origin}");
    }
}

#[test]
fn a_client_that_is_not_a_browser_passes() {
    assert_eq!(verdict("shop.example", &[]), None);
    assert_eq!(
        verdict("shop.example", &[("referer", "https://evil.example/")]),
        None
    );
}

#[test]
fn trusted_origins_pass() {
    for origin in [
        "https://app.example",
        "https://app.example:443",
        "http://localhost:3000",
        "capacitor://localhost",
    ] {
        let headers = [("origin", origin), ("sec-fetch-site", "cross-site")];
        assert_eq!(verdict("shop.example", &headers), None, "{origin}");
    }
    for origin in [
        "http://app.example",
        "https://app.example:80",
        "http://app.example:443",
        "https://app.example:8443",
        "https://x.app.example",
        "http://localhost",
    ] {
        assert_eq!(
            verdict("shop.example", &[("origin", origin)]),
            Some(Reason::Origin),
            "{origin}"
        );
    }
}

#[test]
fn every_origin_line_must_pass() {
    let origins = |origins: [&'static str; 2]| {
        verdict("shop.example", &origins.map(|origin| ("origin", origin)))
    };
    assert_eq!(
        origins(["https://app.example", "http://localhost:3000"]),
        None
    );
    assert_eq!(
        origins(["https://app.example", "https://shop.example"]),
        None
    );
    assert_eq!(
        origins(["https://app.example", "https://evil.example"]),
        Some(Reason::Origin)
    );
    assert_eq!(
        origins(["https://evil.example", "https://shop.example"]),
        Some(Reason::Origin)
    );
}

/// With `no-referrer`, browsers hide the origin even of a page's own forms, and over plain HTTP they send no other
/// header about it.
#[test]
fn pages_show_their_own_origin_if_it_is_checked() {
    let referrer = |config: Value| one(&respond(&config, HeaderMap::default()), "referrer-policy");
    let some = |value: &str| Some(value.to_owned());
    let admin = |cross_site: Value| json!({"name": "admin", "match": {"path": {"prefix": "/admin/"}}, "cross_site": cross_site});
    for preset in ["helmet", "owasp", "strict"] {
        let with = |cross_site: Value| json!({"preset": preset, "cross_site": cross_site});
        assert_eq!(referrer(with(json!({}))), some("same-origin"));
        assert_eq!(
            referrer(with(json!({"mode": "shadow"}))),
            some("same-origin")
        );
        assert_eq!(referrer(with(json!({"mode": "off"}))), some("no-referrer"));
        assert_eq!(referrer(json!({"preset": preset})), some("no-referrer"));
        // The form may be on a page of another rule.
        let rules = json!({"preset": preset, "rules": [admin(json!({}))]});
        assert_eq!(referrer(rules), some("same-origin"));
        let rules = json!({"preset": preset, "rules": [admin(json!({"mode": "off"}))]});
        assert_eq!(referrer(rules), some("no-referrer"));
    }
    assert_eq!(referrer(json!({"preset": "api", "cross_site": {}})), None);
    // A configured value is sent, and the log describes its effect.
    let explicit = json!({"cross_site": {}, "headers": [
        {"name": "referrer-policy", "value": "no-referrer", "action": "set"}]});
    assert_eq!(referrer(explicit.clone()), some("no-referrer"));
    assert!(policy(&explicit).to_string().contains("hides the origin"));
    assert!(
        !policy(&json!({"cross_site": {}}))
            .to_string()
            .contains("hides the origin")
    );
}

/// `mode` of the plugin and of the field, and whether a refusal is enforced; `None` without a refusal.
#[test]
fn the_milder_mode_counts() {
    let enforced = |mode: &str, cross_site: Value| {
        let policy = policy(&json!({"mode": mode, "cross_site": cross_site}));
        let mut request = message([(":method", "POST"), ("sec-fetch-site", "cross-site")]);
        let outcome = policy.on_request(&Selection::default(), &mut request, None);
        outcome.refused.map(|Refusal { enforced, .. }| enforced)
    };
    for (mode, field, expected) in [
        ("enforce", "enforce", Some(true)),
        ("enforce", "shadow", Some(false)),
        ("enforce", "off", None),
        ("shadow", "enforce", Some(false)),
        ("shadow", "shadow", Some(false)),
        ("shadow", "off", None),
        ("off", "enforce", None),
        ("off", "shadow", None),
    ] {
        assert_eq!(
            enforced(mode, json!({"mode": field})),
            expected,
            "{mode} {field}"
        );
    }
    assert_eq!(enforced("enforce", json!({})), Some(true));
    assert_eq!(enforced("enforce", Value::Null), None);
}

#[test]
fn a_refused_request_is_left_as_it_is() {
    let csp = json!({"directives": {"script-src": ["'nonce'"]}});
    let policy = policy(&json!({"cross_site": {}, "csp": csp}));
    let mut request = message([(":method", "POST"), ("sec-fetch-site", "cross-site")]);
    let outcome = policy.on_request(&Selection::default(), &mut request, Some(RANDOM));
    assert!(outcome.refused.is_some());
    assert_eq!(outcome.nonce, None);
    assert!(!request.is_changed());
}

#[test]
fn a_request_that_shadow_would_refuse_goes_on_like_others() {
    let csp = json!({"directives": {"script-src": ["'nonce'"]}});
    let policy = policy(&json!({"cross_site": {"mode": "shadow"}, "csp": csp}));
    let mut request = message([(":method", "POST"), ("sec-fetch-site", "cross-site")]);
    let outcome = policy.on_request(&Selection::default(), &mut request, Some(RANDOM));
    assert!(outcome.refused.is_some());
    assert!(outcome.nonce.is_some());
    assert!(request.contains("x-csp-nonce"));
}
