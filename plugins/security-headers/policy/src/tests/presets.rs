use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Preset;
use crate::preset::PresetHeaders;

const ALL: [Preset; 5] = [
    Preset::Helmet,
    Preset::Owasp,
    Preset::Strict,
    Preset::Api,
    Preset::None,
];

fn preset(name: &str) -> Value {
    json!({"preset": name})
}

/// All headers added to an empty response.
fn added(tls: bool, preset_name: &str) -> Vec<String> {
    let mut lines = lines(&respond_over(
        tls,
        &preset(preset_name),
        HeaderMap::default(),
    ));
    lines.sort();
    lines
}

#[test]
fn helmet_is_the_default_and_sends_what_helmet_sends() {
    let expected = [
        "content-security-policy: default-src 'self';base-uri 'self';font-src 'self' https: data:;\
         form-action 'self';frame-ancestors 'self';img-src 'self' data:;object-src 'none';\
         script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';\
         upgrade-insecure-requests",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "origin-agent-cluster: ?1",
        "referrer-policy: no-referrer",
        "strict-transport-security: max-age=31536000; includeSubDomains",
        "x-content-type-options: nosniff",
        "x-dns-prefetch-control: off",
        "x-download-options: noopen",
        "x-frame-options: SAMEORIGIN",
        "x-permitted-cross-domain-policies: none",
        "x-xss-protection: 0",
    ]
    .map(|line| line.replace('\'', "\\'"));
    assert_eq!(added(true, "helmet"), expected);
    let mut default = lines(&respond_over(true, &json!({}), HeaderMap::default()));
    default.sort();
    assert_eq!(default, expected);
}

#[test]
fn owasp_sends_what_the_project_recommends() {
    let expected = [
        "cache-control: no-store, max-age=0",
        "content-security-policy: default-src 'self'; form-action 'self'; base-uri 'self'; \
         object-src 'none'; frame-ancestors 'none'; upgrade-insecure-requests",
        "cross-origin-embedder-policy: require-corp",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "permissions-policy: accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), \
         display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), \
         keyboard-map=(), magnetometer=(), microphone=(), midi=(), payment=(), \
         picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), \
         sync-xhr=(self), usb=(), web-share=(), xr-spatial-tracking=(), clipboard-read=(), \
         clipboard-write=(), gamepad=(), hid=(), idle-detection=(), interest-cohort=(), \
         serial=(), unload=()",
        "referrer-policy: no-referrer",
        "strict-transport-security: max-age=63072000; includeSubDomains",
        "x-content-type-options: nosniff",
        "x-dns-prefetch-control: off",
        "x-frame-options: deny",
        "x-permitted-cross-domain-policies: none",
    ]
    .map(|line| line.replace('\'', "\\'"));
    assert_eq!(added(true, "owasp"), expected);
}

#[test]
fn api_sends_only_headers_that_affect_non_documents() {
    assert_eq!(
        added(true, "api"),
        [
            "cache-control: no-store",
            "content-security-policy: default-src \\'none\\'; frame-ancestors \\'none\\'",
            "cross-origin-resource-policy: same-origin",
            "strict-transport-security: max-age=63072000; includeSubDomains",
            "x-content-type-options: nosniff",
        ]
    );
}

#[test]
fn strict_forbids_everything_that_it_does_not_list() {
    let response = respond(&preset("strict"), HeaderMap::default());
    let policy = one(&response, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(one(&response, name).as_deref(), Some(value));
    }
}

#[test]
fn none_changes_nothing() {
    let response = message([(":status", "200"), ("x-powered-by", "PHP"), ("server", "x")]);
    let after = respond_over(true, &preset("none"), response.clone());
    assert_eq!(after, response);
    assert!(!after.is_changed());
}

#[test]
fn presets_remove_headers_that_disclose_software() {
    let telling = message([
        (":status", "200"),
        ("x-powered-by", "PHP"),
        ("x-aspnet-version", "4"),
        ("$wsep", ""),
        ("x-ruxit-js-agent", "true"),
        ("x-harmless", "1"),
    ]);
    let left = |name| {
        let response = respond(&preset(name), telling.clone());
        let names = [
            "x-powered-by",
            "x-aspnet-version",
            "$wsep",
            "x-ruxit-js-agent",
            "x-harmless",
        ];
        names
            .into_iter()
            .filter(|name| response.contains(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        left("helmet"),
        [
            "x-aspnet-version",
            "$wsep",
            "x-ruxit-js-agent",
            "x-harmless"
        ]
    );
    assert_eq!(left("api"), left("helmet"));
    assert_eq!(left("owasp"), ["x-harmless"]);
    assert_eq!(left("strict"), ["x-harmless"]);
}

#[test]
fn removal_applies_to_headers_of_any_origin() {
    let config = json!({"override_upstream": false, "headers": [
        {"name": "x-powered-by", "value": "patience", "action": "set"}]});
    let response = respond(
        &config,
        message([("x-powered-by", "PHP"), ("x-powered-by", "ASP")]),
    );
    assert_eq!(all(&response, "x-powered-by"), ["patience"]);
}

/// The plugin looks names up by binary search and compares them with the lower-case names of messages.
#[test]
fn names_to_remove_are_sorted_lower_case_and_not_sent() {
    for preset in ALL {
        let PresetHeaders {
            removed, others, ..
        } = preset.headers();
        assert!(removed.is_sorted_by(|a, b| a < b), "{preset}");
        assert!(
            removed
                .iter()
                .all(|name| *name == name.to_ascii_lowercase()),
            "{preset}"
        );
        assert!(
            others.iter().all(|(name, _)| !removed.contains(name)),
            "{preset}"
        );
    }
}

/// So only the field `hsts` controls `preload`.
#[test]
fn every_presets_hsts_is_fit_for_the_preload_list() {
    for preset in ALL {
        let config = json!({"preset": preset.to_string(), "hsts": {"preload": true}});
        let value = one(
            &respond_over(true, &config, HeaderMap::default()),
            "strict-transport-security",
        )
        .unwrap();
        let (max_age, rest) = value.split_once("; ").unwrap();
        let max_age: u64 = max_age.strip_prefix("max-age=").unwrap().parse().unwrap();
        assert!(max_age >= 31_536_000, "{preset}: {value}");
        assert_eq!(rest, "includeSubDomains; preload", "{preset}");
    }
}

#[test]
fn the_policies_of_presets_are_valid_by_our_own_rules() {
    for policy in ALL.iter().filter_map(|preset| preset.headers().csp) {
        let directives: serde_json::Map<_, _> = policy
            .split(';')
            .map(|directive| {
                let mut words = directive.split_ascii_whitespace();
                let name = words.next().unwrap();
                (name.to_owned(), words.map(Value::from).collect())
            })
            .collect();
        assert_eq!(
            errors(&json!({"csp": {"directives": directives}})),
            "",
            "{policy}"
        );
    }
}
