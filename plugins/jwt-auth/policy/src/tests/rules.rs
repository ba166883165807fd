//! The choice of the rule.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn world(unmatched: &str) -> World {
    let mut config = one_provider(json!({}));
    config["unmatched"] = json!(unmatched);
    config["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "ignored", "match": {"path": {"prefix": "/shop/"}}, "require": "none", "mode": "off"},
        {"name": "optional", "match": {"path": {"prefix": "/shop/"}},
         "require": {"provider": "corp"}, "allow_missing": true},
        {"name": "get", "match": {"methods": ["GET"], "path": {"prefix": "/api/"}},
         "require": {"provider": "corp"}},
    ]);
    World::new(config)
}

#[test]
fn the_first_rule_that_fits_decides() {
    let mut world = world("deny");
    for (path, rule, verdict) in [
        (
            "/public/x",
            "public",
            Verdict::Admitted(AdmitReason::NotRequired),
        ),
        (
            "/shop/x",
            "optional",
            Verdict::Admitted(AdmitReason::NoToken),
        ),
        ("/api/x", "get", refused(Reason::NoToken)),
        ("/elsewhere", "unmatched", refused(Reason::NoRule)),
    ] {
        let outcome = world.send(&[(":path", path)]);
        assert_eq!(outcome.decision.verdict(), verdict, "{path}");
        assert_eq!(world.policy.rule_name(outcome.decision.rule()), rule);
    }
}

#[test]
fn a_missing_token_may_be_allowed_but_a_bad_one_is_not() {
    let mut world = world("deny");
    let forged = format!("Bearer {}", forged(json!({})));
    let verdict = world.verdict(&[(":path", "/shop/"), ("authorization", &forged)]);
    assert_eq!(verdict, refused(Reason::Signature));
}

#[test]
fn unmatched_requests_can_be_allowed() {
    let mut world = world("allow");
    let bearer = format!("Bearer {}", forged(json!({})));
    let outcome = world.send(&[(":path", "/elsewhere"), ("authorization", &bearer)]);
    assert_eq!(
        outcome.decision.verdict(),
        Verdict::Admitted(AdmitReason::NoRule)
    );
    assert_eq!(outcome.line("authorization"), Some(bearer));
}

#[test]
fn preflights_pass_without_a_token() {
    let mut world = world("deny");
    let all = [
        (":method", "OPTIONS"),
        (":path", "/elsewhere"),
        ("origin", "https://app.example"),
        ("access-control-request-method", "GET"),
    ];
    assert_eq!(
        world.verdict(&all),
        Verdict::Admitted(AdmitReason::Preflight)
    );
    for left_out in [0, 2, 3] {
        let mut headers = all.to_vec();
        headers.remove(left_out);
        assert_eq!(
            world.verdict(&headers),
            refused(Reason::NoRule),
            "{headers:?}"
        );
    }
}

#[test]
fn on_error_decides_without_the_request() {
    for (on_error, verdict) in [
        (json!("deny"), refused(Reason::Error)),
        (json!("allow"), Verdict::Admitted(AdmitReason::Error)),
    ] {
        let mut config = one_provider(json!({}));
        config["on_error"] = on_error;
        assert_eq!(policy(config).on_error().verdict(), verdict);
    }
    assert_eq!(
        policy(one_provider(json!({}))).on_error().verdict(),
        refused(Reason::Error)
    );
}
