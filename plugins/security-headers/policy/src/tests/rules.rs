use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn example() -> SecurityHeaders {
    policy(&json!({
        "headers": [
            {"name": "x-site", "value": "all", "action": "set"},
            {"name": "x-both", "value": "top", "action": "set"},
            {"name": "x-both", "value": "more", "action": "append"}
        ],
        "hsts": {"max_age": "10d", "include_subdomains": false, "assume_tls": true},
        "rules": [
            {"name": "api", "match": {"path": {"prefix": "/api/"}}, "preset": "api"},
            {"name": "logout", "match": {"path": {"exact": "/logout"}}, "headers": [
                {"name": "clear-site-data", "value": "\"cache\"", "action": "set"},
                {"name": "X-Both", "value": "rule", "action": "set_if_absent"}]},
            {"name": "ours", "match": {"path": {"exact": "/ours"}}, "override_upstream": true},
            {"name": "late", "match": {"path": {"prefix": "/api/late"}}, "mode": "off"},
            {"name": "hsts", "match": {"path": {"exact": "/hsts"}}, "hsts": {"assume_tls": true}},
            {"name": "quiet", "match": {"path": {"exact": "/quiet"}}, "mode": "off"},
            {"name": "trial", "match": {"path": {"exact": "/trial"}}, "mode": "shadow"}
        ]
    }))
}

fn response_to(target: &'static str) -> HeaderMap {
    let policy = example();
    let mut response = message([("x-frame-options", "theirs"), ("x-powered-by", "PHP")]);
    policy.on_response(&select(&policy, &path(target)), None, false, &mut response);
    response
}

#[test]
fn the_first_rule_that_fits_is_selected() {
    let policy = example();
    let label = |target| {
        let rule = select(&policy, &path(target));
        policy
            .rules()
            .nth(rule.certain().index())
            .unwrap()
            .to_owned()
    };
    assert_eq!(label("/"), "none");
    assert_eq!(label("/api/x"), "api");
    assert_eq!(label("/api/late"), "api");
    assert_eq!(label("/logout"), "logout");
    assert_eq!(
        policy.rules().collect::<Vec<_>>(),
        [
            "none", "api", "logout", "ours", "late", "hsts", "quiet", "trial"
        ]
    );
    assert_eq!(Selection::default().certain().index(), 0);
}

#[test]
fn a_rule_without_match_is_for_all_requests() {
    let policy = policy(&json!({"rules": [{"name": "all", "preset": "none"}]}));
    assert_eq!(select(&policy, &path("/")).certain().index(), 1);
}

#[test]
fn fields_of_a_rule_override_those_of_the_top_level() {
    let api = response_to("/api/x");
    assert_eq!(one(&api, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(one(&api, "referrer-policy"), None);
    // A field that the rule lacks comes from the top level, not from the preset.
    assert_eq!(
        one(&api, "strict-transport-security").as_deref(),
        Some("max-age=864000")
    );
    let frame_options = |target| one(&response_to(target), "x-frame-options").unwrap();
    assert_eq!(frame_options("/ours"), "SAMEORIGIN");
    assert_eq!(frame_options("/api/x"), "theirs");
    // A field that it has replaces the whole field.
    assert_eq!(
        one(&response_to("/hsts"), "strict-transport-security").as_deref(),
        Some("max-age=31536000; includeSubDomains")
    );
}

#[test]
fn headers_of_a_rule_join_those_of_the_top_level() {
    let logout = response_to("/logout");
    assert_eq!(
        one(&logout, "clear-site-data").as_deref(),
        Some("\"cache\"")
    );
    assert_eq!(one(&logout, "x-site").as_deref(), Some("all"));
    assert_eq!(all(&logout, "x-both"), ["rule"]);
    assert_eq!(all(&response_to("/"), "x-both"), ["top", "more"]);
}

#[test]
fn off_does_nothing_and_shadow_only_counts() {
    for target in ["/quiet", "/trial"] {
        let response = response_to(target);
        assert_eq!(
            lines(&response),
            ["x-frame-options: theirs", "x-powered-by: PHP"]
        );
        assert!(!response.is_changed());
    }
    let kept = |target| {
        let policy = example();
        let mut response = message([("x-frame-options", "theirs")]);
        let rule = select(&policy, &path(target));
        policy
            .on_response(&rule, None, false, &mut response)
            .kept_from_upstream
    };
    assert_eq!(kept("/quiet"), 0);
    assert_eq!(kept("/trial"), 1);
}

#[test]
fn requests_are_read_only_if_they_matter() {
    let needs = |config| {
        let policy = policy(&config);
        (policy.needs_request(), policy.needs().route)
    };
    assert_eq!(needs(json!({})), (false, false));
    assert_eq!(
        needs(json!({"cross_site": {"mode": "off"}})),
        (false, false)
    );
    assert_eq!(needs(json!({"cross_site": {}})), (true, false));
    assert_eq!(
        needs(json!({"mode": "off", "cross_site": {}})),
        (false, false)
    );
    let nonce = json!({"script-src": ["'nonce'"]});
    assert_eq!(needs(json!({"csp": {"directives": nonce}})), (true, false));
    assert_eq!(
        needs(json!({"mode": "shadow", "csp": {"directives": nonce}})),
        (false, false)
    );
    assert_eq!(needs(json!({"rules": [{"name": "a"}]})), (true, false));
    let route = json!({"name": "a", "match": {"route": "shop"}});
    assert_eq!(needs(json!({"rules": [route]})), (true, true));
}

#[test]
fn the_summary_names_mode_preset_and_rules() {
    assert_eq!(
        policy(&json!({"mode": "shadow", "preset": "owasp"})).to_string(),
        "mode shadow, preset owasp, rules: none"
    );
    assert_eq!(
        policy(&json!({"rules": [{"name": "a"}, {"name": "b"}]})).to_string(),
        "mode enforce, preset helmet, rules: a, b"
    );
}

#[test]
fn a_rule_cannot_depend_on_a_token() {
    let claims = json!({"claims": [{"name": "sub", "present": true}]});
    for (condition, member) in [(claims.clone(), "claims"), (json!({"not": claims}), "not")] {
        let found = errors(&json!({"rules": [{"name": "a", "match": condition}]}));
        let expected =
            format!("$.rules[0].match.{member}: found a condition on claims; expected none: ");
        assert!(found.starts_with(&expected), "{found}");
    }
}
