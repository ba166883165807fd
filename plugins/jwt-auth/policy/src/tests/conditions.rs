//! Scopes, claims and step-up.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn judge(rule: Value, claims: Value) -> Verdict {
    World::new(one_rule(rule)).judge(&token(claims))
}

#[test]
fn all_scopes_are_needed_in_either_claim() {
    let rule = json!({"scopes": ["read", "admin"]});
    for (claims, verdict) in [
        (json!({"scope": "admin read"}), VERIFIED),
        (json!({"scope": " read  x admin "}), VERIFIED),
        (json!({"scp": "read admin"}), VERIFIED),
        (json!({"scp": ["read", "admin"]}), VERIFIED),
        (json!({"scope": ["admin", "read"]}), VERIFIED),
        (json!({"scope": ["admin read"]}), refused(Reason::Scope)),
        (json!({"scope": "read", "scp": ["admin"]}), VERIFIED),
        (json!({"scope": "read"}), refused(Reason::Scope)),
        (json!({"scope": "read,admin"}), refused(Reason::Scope)),
        (json!({"scope": "read admin2"}), refused(Reason::Scope)),
        (json!({"scp": ["read admin"]}), refused(Reason::Scope)),
        (json!({"scope": 1}), refused(Reason::Scope)),
        (json!({}), refused(Reason::Scope)),
    ] {
        assert_eq!(judge(rule.clone(), claims.clone()), verdict, "{claims}");
    }
}

#[test]
fn claims_are_compared_with_their_types() {
    let any = json!({"any": ["ops", 7]});
    let all = json!({"all": ["ops", "sre"]});
    for (expected, claim, holds) in [
        (json!({"equals": "x"}), json!("x"), true),
        (json!({"equals": "x"}), json!(["x"]), false),
        (json!({"equals": 1}), json!(1), true),
        (json!({"equals": 1}), json!("1"), false),
        (json!({"equals": true}), json!(true), true),
        (json!({"equals": true}), json!("true"), false),
        (any.clone(), json!("ops"), true),
        (any.clone(), json!(7), true),
        (any.clone(), json!(["x", "ops"]), true),
        (any.clone(), json!(["x", "7"]), false),
        (any.clone(), json!([]), false),
        (any, json!(null), false),
        (all.clone(), json!(["sre", "x", "ops"]), true),
        (all.clone(), json!(["sre", "x"]), false),
        (all, json!("ops"), false),
        (json!({"all": ["ops"]}), json!("ops"), true),
    ] {
        let verdict = if holds {
            VERIFIED
        } else {
            refused(Reason::Claim)
        };
        let rule = json!({"claims": {"realm.groups": expected}});
        let claims = json!({"realm": {"groups": claim}});
        assert_eq!(judge(rule, claims), verdict, "{expected} {claim}");
    }
    let rule = json!({"claims": {"sub": {"equals": "ada"}, "tenant": {"equals": "t"}}});
    assert_eq!(judge(rule.clone(), json!({"tenant": "t"})), VERIFIED);
    assert_eq!(judge(rule, json!({})), refused(Reason::Claim));
}

#[test]
fn step_up_asks_for_how_and_when() {
    let rule = json!({"step_up": {"acr": ["mfa", "hwk"], "max_age": "15m"}});
    for (claims, verdict) in [
        (json!({"acr": "mfa", "auth_time": START - 960}), VERIFIED),
        (json!({"acr": "hwk", "auth_time": START}), VERIFIED),
        (
            json!({"acr": "mfa", "auth_time": START - 961}),
            refused(Reason::AuthenticationAge),
        ),
        (json!({"acr": "mfa"}), refused(Reason::AuthenticationAge)),
        (
            json!({"acr": "mfa", "auth_time": "now"}),
            refused(Reason::AuthenticationAge),
        ),
        (
            json!({"acr": "pwd", "auth_time": START}),
            refused(Reason::AuthenticationContext),
        ),
        (
            json!({"acr": ["mfa"], "auth_time": START}),
            refused(Reason::AuthenticationContext),
        ),
        (
            json!({"auth_time": START}),
            refused(Reason::AuthenticationContext),
        ),
    ] {
        assert_eq!(judge(rule.clone(), claims.clone()), verdict, "{claims}");
    }
}

#[test]
fn a_cached_token_is_checked_again() {
    let mut world = World::new(one_rule(json!({"step_up": {"max_age": "1m"}})));
    let token = token(json!({"auth_time": START}));
    assert_eq!(world.judge(&token), VERIFIED);
    world.advance(121);
    assert_eq!(world.judge(&token), refused(Reason::AuthenticationAge));
}
