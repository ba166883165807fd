//! Rules that match on the route, and changes that could lead to another one.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn on_route(name: &str, route: &str, more: Value) -> Value {
    let mut rule =
        json!({"name": name, "match": {"route": route}, "require": {"provider": "corp"}});
    let more = more.as_object().unwrap().clone();
    rule.as_object_mut().unwrap().extend(more);
    rule
}

fn with_rules(settings: Value, rules: Value) -> Value {
    let mut config = one_provider(settings);
    config["rules"] = rules;
    config
}

#[test]
fn a_configuration_whose_changes_could_lead_to_a_stricter_rule_is_refused() {
    let all = json!({"name": "all", "require": {"provider": "corp"}});
    let admin = on_route("admin", "admin", json!({"scopes": ["admin"]}));
    let shop = on_route("shop", "shop", json!({}));
    let claims = json!({"forward": true, "claims_to_headers": {"x-role": "role"}});
    for (settings, rules, stricter) in [
        (json!({}), json!([admin, all]), "rule \"admin\" has other"),
        (
            claims.clone(),
            json!([admin, all]),
            "rule \"admin\" has other",
        ),
        (
            claims,
            json!([shop, admin, all]),
            "rule \"admin\" has other",
        ),
        (json!({}), json!([shop]), "\"unmatched\" is \"deny\""),
    ] {
        let config = with_rules(settings.clone(), rules.clone());
        let errors = errors(config.clone());
        assert!(errors.contains(stricter), "{errors}");
        assert!(
            errors.contains("expected \"stable_routes\": true"),
            "{errors}"
        );

        let mut stable = config;
        stable["stable_routes"] = json!(true);
        policy(stable);
        let mut unchanged = with_rules(json!({"forward": true}), rules);
        unchanged["providers"]["corp"]["claims_to_headers"] = json!({});
        policy(unchanged);
    }
}

#[test]
fn changes_that_lead_to_no_stricter_rule_are_fine() {
    let all = json!({"name": "all", "require": {"provider": "corp"}, "scopes": ["a", "b"]});
    let public = on_route("public", "public", json!({"require": "none"}));
    let same = on_route("same", "same", json!({"scopes": ["b", "a"]}));
    let before = json!({"name": "before", "match": {"path": {"prefix": "/x/"}},
                        "require": {"provider": "corp"}});
    let shadowed = on_route(
        "shadowed",
        "w",
        json!({"scopes": ["a", "b", "z"], "mode": "shadow"}),
    );
    let unused = on_route("unused", "u", json!({"scopes": ["z"], "mode": "off"}));
    let settings = json!({"claims_to_headers": {"x-role": "role"}});
    policy(with_rules(
        settings,
        json!([before, public, same, unused, shadowed, all]),
    ));
}

#[test]
fn clients_that_send_a_claim_header_are_refused_if_rules_match_on_the_route() {
    let public = on_route("public", "public", json!({"require": "none"}));
    let all = json!({"name": "all", "require": {"provider": "corp"}});
    let config = with_rules(
        json!({"claims_to_headers": {"x-tier": "tier"}, "forward_payload_header": "x-payload"}),
        json!([public, all]),
    );
    let bearer = format!("Bearer {}", token(json!({})));
    let mut world = World::new(config.clone());
    for name in ["x-tier", "x_tier", "X.TIER", "x-payload", "x_payload"] {
        for headers in [
            &[(name, "free")][..],
            &[(name, ""), ("authorization", &bearer)],
            &[
                (name, "free"),
                (":method", "OPTIONS"),
                ("origin", "https://a.example"),
                ("access-control-request-method", "GET"),
            ],
        ] {
            let outcome = world.send(headers);
            let verdict = outcome.decision.verdict();
            assert_eq!(verdict, refused(Reason::ClientClaimHeader), "{headers:?}");
            assert_eq!(outcome.status(), Some(400));
            assert_eq!(outcome.challenge(), None);
        }
    }
    let mut unrouted = config.clone();
    unrouted["rules"] = json!([{"name": "all", "require": "none"}]);
    let outcome = World::new(unrouted.clone()).send(&[("x_tier", "free")]);
    assert_eq!(outcome.line("x_tier"), None);
    unrouted["stable_routes"] = json!(false);
    let verdict = World::new(unrouted).verdict(&[("x_tier", "free")]);
    assert_eq!(verdict, refused(Reason::ClientClaimHeader));

    let mut shadow = config.clone();
    shadow["mode"] = json!("shadow");
    let outcome = World::new(shadow).send(&[("x_tier", "free")]);
    let verdict = outcome.decision.verdict();
    assert_eq!(verdict, Verdict::ShadowRefused(Reason::ClientClaimHeader));
    assert_eq!(outcome.line("x_tier"), None);

    let mut stable = config;
    stable["stable_routes"] = json!(true);
    let outcome = World::new(stable).send(&[("x-tier", "free"), ("authorization", &bearer)]);
    assert_eq!(outcome.decision.verdict(), VERIFIED);
    assert_eq!(outcome.line("x-tier"), None);
}
