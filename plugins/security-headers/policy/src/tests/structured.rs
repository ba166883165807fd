use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn hsts_goes_over_tls_only() {
    let hsts = |tls, config| {
        one(
            &respond_over(tls, &config, HeaderMap::default()),
            "strict-transport-security",
        )
    };
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(hsts(false, json!({})), None);
    assert_eq!(
        hsts(true, json!({})),
        some("max-age=31536000; includeSubDomains")
    );
    assert_eq!(
        hsts(false, json!({"hsts": {"assume_tls": true}})),
        some("max-age=31536000; includeSubDomains")
    );
    assert_eq!(
        hsts(
            true,
            json!({"preset": "api", "hsts": {"include_subdomains": false}})
        ),
        some("max-age=63072000")
    );
    assert_eq!(
        hsts(true, json!({"preset": "none", "hsts": {}})),
        some("max-age=31536000; includeSubDomains")
    );
    assert_eq!(
        hsts(true, json!({"hsts": {"max_age": "730d", "preload": true}})),
        some("max-age=63072000; includeSubDomains; preload")
    );
    assert_eq!(
        hsts(true, json!({"hsts": {"max_age": "0s"}})),
        some("max-age=0; includeSubDomains")
    );
}

/// The former name of `permissions-policy`, which Chromium obeys for features that the new one does not name.
#[test]
fn feature_policy_of_the_upstream_keeps_its_force() {
    let after = |config: Value, headers: &[(&'static str, &'static str)]| {
        let entries = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let response = respond(&config, HeaderMap::new(entries.collect()));
        all(&response, "permissions-policy").join(" + ")
    };
    let ours = json!({"preset": "none", "permissions_policy": {"camera": ["self"], "usb": ["*"]}});
    for (theirs, expected) in [
        ("camera 'none'; midi 'none'", "camera=(), usb=*, midi=()"),
        ("Camera 'NONE', usb", "camera=(), usb=(self)"),
        (
            "camera *; usb 'self' https://a.example",
            "camera=(self), usb=(self \"https://a.example\")",
        ),
        ("camera https://a.example", "camera=(), usb=*"),
        ("", "camera=(self), usb=*"),
    ] {
        assert_eq!(
            after(ours.clone(), &[("feature-policy", theirs)]),
            expected,
            "{theirs}"
        );
    }
    let theirs = ("feature-policy", "camera 'none'");
    // The upstream sends both headers.
    let both = [theirs, ("permissions-policy", "camera=*")];
    assert_eq!(after(ours, &both), "camera=*");
    // Without a header of the plugin, the upstream's applies.
    assert_eq!(after(json!({"preset": "none"}), &[theirs]), "");
    let removed = json!({"preset": "none", "permissions_policy": {"camera": ["self"]},
        "headers": [{"name": "feature-policy", "action": "remove"}]});
    assert_eq!(after(removed, &[theirs]), "camera=(self)");
}

/// Over plain HTTP, there is no header to replace the upstream's, which browsers ignore there.
#[test]
fn hsts_of_the_upstream_stays_over_plain_http() {
    let theirs = || {
        message([
            ("strict-transport-security", "max-age=1"),
            ("strict-transport-security", "max-age=2"),
        ])
    };
    let over = |tls| {
        let policy = policy(&json!({"override_upstream": true}));
        let mut response = theirs();
        let outcome = policy.on_response(&Selection::default(), None, tls, &mut response);
        (
            all(&response, "strict-transport-security"),
            outcome.kept_from_upstream,
        )
    };
    assert_eq!(
        over(false),
        (vec!["max-age=1".into(), "max-age=2".into()], 1)
    );
    assert_eq!(
        over(true),
        (vec!["max-age=31536000; includeSubDomains".into()], 0)
    );
}

#[test]
fn tls_is_needed_only_if_it_matters() {
    let needs_tls = |config| policy(&config).needs_tls(&Selection::default());
    assert!(needs_tls(json!({})));
    assert!(needs_tls(json!({"mode": "shadow"})));
    assert!(!needs_tls(json!({"mode": "off"})));
    assert!(!needs_tls(json!({"preset": "none"})));
    assert!(!needs_tls(json!({"hsts": {"assume_tls": true}})));
    assert!(!needs_tls(json!({"headers": [
        {"name": "strict-transport-security", "action": "remove"}]})));
}

#[test]
fn structured_fields_take_the_presets_place() {
    let response = respond(
        &json!({
            "preset": "owasp",
            "csp": {"directives": {"img-src": ["https:"], "script-src": ["'self'"]}},
            "permissions_policy": {"geolocation": ["self", "https://maps.example"], "camera": [],
                "fullscreen": ["*"]},
            "cross_origin": {"embedder": "credentialless", "opener": "unsafe-none"},
            "reporting_endpoints": {"csp": "https://reports.example/csp", "a": "https://a.example"},
        }),
        HeaderMap::default(),
    );
    for (name, value) in [
        (
            "content-security-policy",
            "img-src https:; script-src 'self'",
        ),
        (
            "permissions-policy",
            "camera=(), fullscreen=*, geolocation=(self \"https://maps.example\")",
        ),
        ("cross-origin-embedder-policy", "credentialless"),
        ("cross-origin-opener-policy", "unsafe-none"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "reporting-endpoints",
            "a=\"https://a.example\", csp=\"https://reports.example/csp\"",
        ),
    ] {
        assert_eq!(one(&response, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn empty_structured_fields_drop_the_presets_header() {
    let config = json!({"preset": "owasp", "csp": {"directives": {}}, "permissions_policy": {},
        "reporting_endpoints": {}});
    let response = respond(&config, HeaderMap::default());
    for name in [
        "content-security-policy",
        "permissions-policy",
        "reporting-endpoints",
    ] {
        assert_eq!(one(&response, name), None, "{name}");
    }
}

#[test]
fn report_only_takes_the_place_of_enforcement() {
    let response = respond(
        &json!({
            "preset": "owasp",
            "csp": {"report_only": true},
            "cross_origin": {"opener": "same-origin", "embedder": "require-corp",
                "report_only": ["opener", "embedder"]},
        }),
        message([("content-security-policy", "default-src https:")]),
    );
    // The upstream's policy stays; a report-only policy does not replace it, nor the reverse.
    assert_eq!(
        all(&response, "content-security-policy"),
        ["default-src https:"]
    );
    assert!(
        one(&response, "content-security-policy-report-only")
            .unwrap()
            .starts_with("default-src 'self'; form-action")
    );
    for name in ["cross-origin-opener-policy", "cross-origin-embedder-policy"] {
        assert_eq!(one(&response, name), None);
        assert!(one(&response, &format!("{name}-report-only")).is_some());
    }
    assert!(one(&response, "cross-origin-resource-policy").is_some());
}
