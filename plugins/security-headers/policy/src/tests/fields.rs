//! Errors in the structured fields.

use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn hsts_with_preload_meets_the_requirements_of_the_preload_list() {
    let hsts = |hsts: Value| json!({"hsts": hsts});
    check(&[
        (
            hsts(json!({"preload": true, "max_age": "364d"})),
            "$.hsts.max_age: found \"364d\" with \"preload\"; the preload list requires at least \"365d\"",
        ),
        (
            hsts(json!({"preload": true, "include_subdomains": false})),
            "$.hsts.include_subdomains: found false with \"preload\"",
        ),
        (hsts(json!({"max_age": "1500ms"})), "expected whole seconds"),
        (
            hsts(json!({"max_age": 5})),
            "$.hsts.max_age: found 5; expected a duration",
        ),
    ]);
    assert_eq!(
        errors(&hsts(json!({"preload": true, "max_age": "365d"}))),
        ""
    );
}

#[test]
fn permissions_are_checked() {
    let camera = |members: Value| json!({"permissions_policy": {"camera": members}});
    check(&[
        (
            camera(json!(["src"])),
            "$.permissions_policy.camera[0]: found \"src\"; expected \"self\"",
        ),
        (camera(json!(["'none'"])), "an empty list allows none"),
        (
            camera(json!(["*", "self"])),
            "$.permissions_policy.camera: found \"*\" and others",
        ),
        (camera(json!(["https://a.example/"])), "without a slash"),
        (
            camera(json!("self")),
            "$.permissions_policy.camera: found \"self\"; expected an array",
        ),
        (
            json!({"permissions_policy": {"Camera": []}}),
            "$.permissions_policy.Camera: found",
        ),
        (
            json!({"permissions_policy": {"a=b": []}}),
            "expected the name of a feature",
        ),
        (
            json!({"permissions_policy": {"": []}}),
            "expected the name of a feature",
        ),
    ]);
    assert_eq!(
        errors(&json!({"permissions_policy": {"not-known-yet2": ["*"]}})),
        ""
    );
}

#[test]
fn origins_are_serialized_origins() {
    let origin = |origin: &str| json!({"cross_site": {"trusted_origins": [origin]}});
    check(&[
        (
            origin("app.example"),
            "$.cross_site.trusted_origins[0]: found \"app.example\"; expected",
        ),
        (origin("*"), "an origin is a scheme"),
        (origin("null"), "sandboxed"),
        (origin("https://app.example/"), "without a slash"),
        (
            origin("https://app.example?x"),
            "ends after the host or port",
        ),
        (origin("https://*.example"), "without wildcards"),
        (origin("https://b\u{fc}cher.example"), "punycode"),
        (origin("https://user@app.example"), "the host is not valid"),
        (origin("https://"), "the host is not valid"),
        (origin("https://[::g]"), "the host is not valid"),
        (origin("https://a:"), "the host is not valid"),
        (origin("https://a:0"), "1 to 65535"),
        (origin("https://a:65536"), "1 to 65535"),
        (origin("https://a:0443"), "1 to 65535"),
        (origin("1://a"), "the scheme is not valid"),
    ]);
    for valid in [
        "https://a.example",
        "http://[::1]:3000",
        "app+x://a",
        "http://127.0.0.1:80",
    ] {
        assert_eq!(errors(&origin(valid)), "", "{valid}");
    }
}

#[test]
fn cross_origin_policies_are_checked() {
    check(&[
        (
            json!({"cross_origin": {"resource": "none"}}),
            "$.cross_origin.resource: found \"none\"; allowed: same-origin, same-site, cross-origin",
        ),
        (
            json!({"cross_origin": {"report_only": ["resource"]}}),
            "$.cross_origin.report_only[0]: found \"resource\"; allowed: opener, embedder",
        ),
        (
            json!({"cross_origin": {"report_only": ["embedder"]}}),
            "expected a field \"embedder\" as well",
        ),
    ]);
}

#[test]
fn reporting_endpoints_are_checked() {
    let endpoint = |name: &str, url: &str| json!({"reporting_endpoints": {name: url}});
    let url = "https://r.example/";
    check(&[
        (
            endpoint("CSP", url),
            "$.reporting_endpoints.CSP: found \"CSP\"; expected the name",
        ),
        (endpoint("1", url), "starting with a letter or *"),
        (endpoint("", url), "expected the name of an endpoint"),
        (
            endpoint("csp", "http://r.example"),
            "$.reporting_endpoints.csp: found",
        ),
        (endpoint("csp", "https://"), "expected an https URL"),
        (endpoint("csp", "https:///x"), "expected an https URL"),
        (
            endpoint("csp", "https://r.example/\""),
            "expected an https URL",
        ),
        (
            endpoint("csp", "https://r.example/ "),
            "expected an https URL",
        ),
    ]);
    assert_eq!(errors(&endpoint("*a_-.1", url)), "");
}

#[test]
fn cookies_are_checked() {
    check(&[
        (
            json!({"cookies": {"same_site": "lax"}}),
            "$.cookies.same_site: found \"lax\"; allowed: Strict, Lax, None",
        ),
        (
            json!({"cookies": {"except": ["a=b"]}}),
            "$.cookies.except[0]: found \"a=b\"; expected",
        ),
        (
            json!({"cookies": {"except": [""]}}),
            "expected the name of a cookie",
        ),
        (
            json!({"cookies": {"secure": "yes"}}),
            "$.cookies.secure: found \"yes\"; expected true",
        ),
    ]);
}
