use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn nonced() -> Value {
    json!({"directives": {"default-src": ["'self'"], "script-src": ["'self'", "'nonce'"],
        "style-src": ["'nonce'"], "upgrade-insecure-requests": []}})
}

#[test]
fn the_upstream_and_the_browser_get_the_same_nonce() {
    let policy = policy(&json!({"csp": nonced()}));
    let rule = &Selection::default();
    assert!(policy.needs_nonce(rule));

    let mut request = message([("x-csp-nonce", "forged"), ("x-csp-nonce", "twice")]);
    let nonce = policy
        .on_request(rule, &mut request, Some(RANDOM))
        .nonce
        .unwrap();
    let text = nonce_text(&nonce);
    assert_eq!(all(&request, "x-csp-nonce"), [text.as_str()]);

    let mut response = message([(":status", "200")]);
    policy.on_response(rule, Some(&nonce), false, &mut response);
    assert_eq!(
        one(&response, "content-security-policy").unwrap(),
        format!(
            "default-src 'self'; script-src 'self' 'nonce-{text}'; style-src 'nonce-{text}'; \
             upgrade-insecure-requests"
        )
    );
}

#[test]
fn other_randomness_makes_another_nonce() {
    let policy = policy(&json!({"csp": nonced()}));
    let nonce = |random| {
        let outcome = policy.on_request(
            &Selection::default(),
            &mut HeaderMap::default(),
            Some(random),
        );
        nonce_text(&outcome.nonce.unwrap())
    };
    for bit in 0..128 {
        let other = u128::from_be_bytes(RANDOM) ^ (1 << bit);
        assert_ne!(nonce(RANDOM), nonce(other.to_be_bytes()), "bit {bit}");
    }
}

#[test]
fn without_a_nonce_nothing_that_needs_one_can_run() {
    let policy = policy(&json!({"csp": nonced()}));
    let mut request = message([("x-csp-nonce", "forged")]);
    let outcome = policy.on_request(&Selection::default(), &mut request, None);
    assert_eq!(outcome.nonce, None);
    assert!(!request.contains("x-csp-nonce"));

    let mut response = message([(":status", "200")]);
    policy.on_response(&Selection::default(), None, false, &mut response);
    assert_eq!(
        one(&response, "content-security-policy").as_deref(),
        Some("default-src 'self'; script-src 'self'; style-src 'none'; upgrade-insecure-requests")
    );
}

#[test]
fn a_304_does_not_touch_the_policy_that_the_browser_stored() {
    let not_modified = |config: Value, with_upstreams: bool| {
        let policy = policy(&config);
        let request = &mut HeaderMap::default();
        let nonce = policy
            .on_request(&Selection::default(), request, Some(RANDOM))
            .nonce;
        let mut response = match with_upstreams {
            true => message([(":status", "304"), ("content-security-policy", "theirs")]),
            false => message([(":status", "304")]),
        };
        let outcome =
            policy.on_response(&Selection::default(), nonce.as_ref(), false, &mut response);
        assert!(!response.contains("x-content-type-options"));
        (
            one(&response, "content-security-policy"),
            outcome.kept_from_upstream,
        )
    };
    let theirs = Some("theirs".to_owned());
    assert_eq!(not_modified(json!({"csp": nonced()}), false), (None, 0));
    assert_eq!(
        not_modified(json!({"csp": nonced()}), true),
        (theirs.clone(), 1)
    );
    // A 200 would not have carried the upstream's policy, so a 304 must not bring it in.
    let overriding = json!({"csp": nonced(), "override_upstream": true});
    assert_eq!(not_modified(overriding, true), (None, 0));
    // The same goes for a constant policy: the page may have been stored with another one.
    assert_eq!(not_modified(json!({}), false), (None, 0));
}

#[test]
fn a_policy_that_only_reports_has_nonces_too() {
    let mut csp = nonced();
    csp["report_only"] = true.into();
    let policy = policy(&json!({"csp": csp}));
    let rule = &Selection::default();
    let nonce = policy
        .on_request(rule, &mut HeaderMap::default(), Some(RANDOM))
        .nonce;
    let mut response = HeaderMap::default();
    policy.on_response(rule, nonce.as_ref(), false, &mut response);
    let value = one(&response, "content-security-policy-report-only").unwrap();
    assert!(value.contains(&nonce_text(&nonce.unwrap())), "{value}");
    assert!(!response.contains("content-security-policy"));
}

#[test]
fn a_clients_own_nonce_reaches_no_upstream_that_may_rely_on_it() {
    let after = |config: Value, target| {
        let policy = policy(&config);
        let mut request = path(target);
        request.append("x-csp-nonce".into(), "forged".into());
        let rule = select(&policy, &request);
        assert_eq!(policy.on_request(&rule, &mut request, None).nonce, None);
        request.contains("x-csp-nonce")
    };
    let pages = json!({"name": "pages", "match": {"path": {"prefix": "/pages/"}}, "csp": nonced()});
    let off = json!({"name": "off", "match": {"path": {"prefix": "/off/"}}, "mode": "off"});
    assert!(!after(json!({"rules": [pages, off]}), "/other"));
    assert!(!after(json!({"rules": [pages, off]}), "/off/"));
    // If no rule uses nonces, the header is like any other.
    assert!(after(json!({"rules": [off]}), "/other"));
}

#[test]
fn no_nonce_is_created_if_none_is_sent() {
    let mut request = HeaderMap::default();
    let outcome = policy(&json!({})).on_request(&Selection::default(), &mut request, Some(RANDOM));
    assert_eq!(outcome.nonce, None);
    assert!(!request.is_changed());

    let needs_nonce = |config| policy(&config).needs_nonce(&Selection::default());
    assert!(needs_nonce(json!({"csp": nonced()})));
    assert!(!needs_nonce(json!({})));
    assert!(!needs_nonce(json!({"csp": nonced(), "mode": "shadow"})));
    assert!(!needs_nonce(json!({"csp": nonced(), "mode": "off"})));
    assert!(!needs_nonce(json!({"csp": nonced(), "headers": [
        {"name": "content-security-policy", "value": "default-src https:", "action": "set"}]})));
}

#[test]
fn shadow_gives_no_nonce() {
    let policy = policy(&json!({"mode": "shadow", "csp": nonced()}));
    let mut request = message([("x-csp-nonce", "a client's")]);
    let outcome = policy.on_request(&Selection::default(), &mut request, Some(RANDOM));
    assert_eq!(outcome.nonce, None);
    assert!(!request.is_changed());
}
