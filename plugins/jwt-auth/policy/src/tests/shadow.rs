//! Shadow mode.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_would_be_refusal_passes_with_a_mark() {
    for part in ["plugin", "rule"] {
        let mut config = one_provider(json!({"claims_to_headers": {"x-user": "sub"}}));
        match part {
            "plugin" => config["mode"] = json!("shadow"),
            _ => config["rules"][0]["mode"] = json!("shadow"),
        }
        let mut world = World::new(config);
        let forged = forged(json!({}));
        let outcome = world.bearer(&forged);
        assert_eq!(
            outcome.decision.verdict(),
            Verdict::ShadowRefused(Reason::Signature)
        );
        assert_eq!(outcome.line(SHADOW_HEADER).as_deref(), Some("jwt_auth;all"));
        assert_eq!(
            outcome.line("authorization"),
            Some(format!("Bearer {forged}"))
        );
        assert_eq!(outcome.line("x-user"), None);

        let token = token(json!({}));
        let outcome = world.bearer(&token);
        assert_eq!(outcome.decision.verdict(), VERIFIED);
        assert_eq!(outcome.line(SHADOW_HEADER), None);
        assert_eq!(
            outcome.line("authorization"),
            Some(format!("Bearer {token}"))
        );
        assert_eq!(outcome.line("x-user").as_deref(), Some("ada"));
    }
}

#[test]
fn requests_without_a_rule_are_marked_too() {
    let mut config = one_provider(json!({}));
    config["mode"] = json!("shadow");
    config["rules"][0]["match"] = json!({"path": {"prefix": "/a/"}});
    let mut world = World::new(config);
    for (path, reason) in [("/b", Reason::NoRule), ("/a/..;/b", Reason::AmbiguousPath)] {
        let outcome = world.send(&[(":path", path)]);
        assert_eq!(outcome.decision.verdict(), Verdict::ShadowRefused(reason));
        assert_eq!(
            outcome.line(SHADOW_HEADER).as_deref(),
            Some("jwt_auth;unmatched")
        );
    }
}

#[test]
fn a_valid_token_without_the_scope_still_sets_its_headers() {
    let mut config = one_rule(json!({"scopes": ["admin"], "mode": "shadow"}));
    config["providers"]["corp"]["claims_to_headers"] = json!({"x-user": "sub"});
    let mut world = World::new(config);
    let outcome = world.bearer(&token(json!({})));
    assert_eq!(
        outcome.decision.verdict(),
        Verdict::ShadowRefused(Reason::Scope)
    );
    assert_eq!(outcome.line("x-user").as_deref(), Some("ada"));
}
