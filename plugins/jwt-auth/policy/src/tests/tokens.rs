//! Verification of tokens.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn judge(settings: Value, claims: Value) -> Verdict {
    World::new(one_provider(settings)).judge(&token(claims))
}

fn judge_header(settings: Value, header: Value) -> Verdict {
    let claims = json!({"iss": IDP, "exp": START + 600});
    World::new(one_provider(settings)).judge(&signed(&header, &claims, "good"))
}

#[test]
fn a_valid_token_is_verified() {
    assert_eq!(judge(json!({}), json!({})), VERIFIED);
}

#[test]
fn times_are_judged_with_the_clock_skew() {
    for (settings, claims, verdict) in [
        (json!({}), json!({"exp": START - 59}), VERIFIED),
        (
            json!({}),
            json!({"exp": START - 60}),
            refused(Reason::Expired),
        ),
        (
            json!({"clock_skew": "0s"}),
            json!({"exp": START + 1}),
            VERIFIED,
        ),
        (
            json!({"clock_skew": "0s"}),
            json!({"exp": START}),
            refused(Reason::Expired),
        ),
        (json!({}), json!({"exp": 0}), refused(Reason::Expired)),
        (json!({}), json!({"exp": 1e300}), VERIFIED),
        (
            json!({"clock_skew": "0s"}),
            json!({"exp": START as f64 + 0.9}),
            refused(Reason::Expired),
        ),
        (json!({}), json!({"nbf": START + 60}), VERIFIED),
        (
            json!({}),
            json!({"nbf": START + 61}),
            refused(Reason::NotYetValid),
        ),
        (json!({}), json!({"iat": START + 60}), VERIFIED),
        (
            json!({}),
            json!({"iat": START + 61}),
            refused(Reason::IssuedInFuture),
        ),
        (
            json!({}),
            json!({"exp": null}),
            refused(Reason::NoExpiration),
        ),
        (
            json!({"require_expiration": false}),
            json!({"exp": null}),
            VERIFIED,
        ),
        (
            json!({"require_expiration": false, "max_lifetime": "1h"}),
            json!({"exp": null}),
            refused(Reason::NoExpiration),
        ),
    ] {
        assert_eq!(
            judge(settings.clone(), claims.clone()),
            verdict,
            "{settings} {claims}"
        );
    }
}

#[test]
fn a_lifetime_starts_at_issue_or_else_now() {
    let settings = json!({"max_lifetime": "1h"});
    for (claims, verdict) in [
        (json!({"iat": START - 1800, "exp": START + 1800}), VERIFIED),
        (
            json!({"iat": START - 1801, "exp": START + 1800}),
            refused(Reason::Lifetime),
        ),
        (json!({"exp": START + 3660}), VERIFIED),
        (json!({"exp": START + 3661}), refused(Reason::Lifetime)),
    ] {
        assert_eq!(judge(settings.clone(), claims.clone()), verdict, "{claims}");
    }
}

#[test]
fn the_audience_is_one_of_ours_exactly() {
    let settings = json!({"audiences": ["shop", "https://shop.example"]});
    for (claims, verdict) in [
        (json!({"aud": "shop"}), VERIFIED),
        (json!({"aud": ["other", "https://shop.example"]}), VERIFIED),
        (json!({"aud": "shop.example"}), refused(Reason::Audience)),
        (
            json!({"aud": "https://shop.example/"}),
            refused(Reason::Audience),
        ),
        (json!({"aud": []}), refused(Reason::Audience)),
        (json!({}), refused(Reason::Audience)),
    ] {
        assert_eq!(judge(settings.clone(), claims.clone()), verdict, "{claims}");
    }
    assert_eq!(judge(json!({}), json!({"aud": "whoever"})), VERIFIED);
}

#[test]
fn types_are_media_types_and_jwt_is_the_default() {
    for (settings, typ, verdict) in [
        (json!({}), json!("JWT"), VERIFIED),
        (json!({}), json!("jwt"), VERIFIED),
        (json!({}), json!("AT+JWT"), VERIFIED),
        (json!({}), json!("application/at+jwt"), VERIFIED),
        (
            json!({}),
            json!("application/x/at+jwt"),
            refused(Reason::Type),
        ),
        (json!({}), json!("logout+jwt"), refused(Reason::Type)),
        (
            json!({"types": ["logout+jwt"]}),
            json!("logout+jwt"),
            VERIFIED,
        ),
        (
            json!({"types": ["at+jwt"]}),
            json!("JWT"),
            refused(Reason::Type),
        ),
    ] {
        let header = json!({"alg": "RS256", "kid": "a", "typ": typ});
        assert_eq!(judge_header(settings, header), verdict, "{typ}");
    }
    let without = json!({"alg": "RS256", "kid": "a"});
    assert_eq!(judge_header(json!({}), without.clone()), VERIFIED);
    assert_eq!(
        judge_header(json!({"types": ["at+jwt"]}), without),
        refused(Reason::Type)
    );
}

#[test]
fn the_algorithm_is_one_of_those_allowed() {
    let header = |alg| json!({"alg": alg, "kid": "a"});
    assert_eq!(
        judge_header(json!({}), header("PS384")),
        refused(Reason::Algorithm)
    );
    assert_eq!(
        judge_header(json!({"algorithms": ["PS384"]}), header("PS384")),
        refused(Reason::Signature)
    );
    assert_eq!(judge_header(json!({}), header("RS512")), VERIFIED);
    assert_eq!(
        judge_header(json!({"algorithms": ["RS256"]}), header("RS512")),
        refused(Reason::Algorithm)
    );
    // A public key never serves as a secret.
    assert_eq!(
        judge_header(json!({}), header("HS256")),
        refused(Reason::Algorithm)
    );
    assert_eq!(
        judge_header(json!({}), header("none")),
        refused(Reason::Malformed)
    );
}

#[test]
fn keys_are_those_of_the_issuer_and_of_the_rule() {
    let mut world = World::new(json!({
        "providers": {
            "corp": provider(IDP, json!({})),
            "partner": provider("https://p.example", json!({"jwks": inline("p")})),
        },
        "rules": [
            {"name": "corp", "match": {"path": {"prefix": "/corp/"}}, "require": {"provider": "corp"}},
            {"name": "any", "require": {"any": ["corp", "partner"]}},
        ],
    }));
    let partner = |kid: &str| {
        let claims = json!({"iss": "https://p.example", "exp": START + 600});
        format!(
            "Bearer {}",
            signed(&json!({"alg": "RS256", "kid": kid}), &claims, "good")
        )
    };
    let verdict = |world: &mut World, path, kid| {
        world.verdict(&[(":path", path), ("authorization", &partner(kid))])
    };
    assert_eq!(verdict(&mut world, "/", "a"), refused(Reason::UnknownKey));
    assert_eq!(verdict(&mut world, "/", "p"), VERIFIED);
    // It is valid and in the cache, but this rule does not allow its provider.
    assert_eq!(verdict(&mut world, "/corp/", "p"), refused(Reason::Issuer));
    let unknown = token(json!({"iss": "https://idp.example/"}));
    assert_eq!(world.judge(&unknown), refused(Reason::Issuer));
    assert_eq!(
        world.judge(&token(json!({"iss": null}))),
        refused(Reason::Issuer)
    );
}

#[test]
fn text_that_is_not_a_token_differs_from_an_invalid_token() {
    let mut world = World::new(one_provider(json!({})));
    for (credentials, verdict) in [
        ("Bearer Bearer x.y.z", refused(Reason::NotAToken)),
        ("Bearer x.y.z, Bearer x.y.z", refused(Reason::NotAToken)),
        ("Bearer x\u{e4}", refused(Reason::NotAToken)),
        ("Bearer x.y.z", refused(Reason::Malformed)),
        ("Bearer ....", refused(Reason::Malformed)),
        ("Basic eDp5", refused(Reason::NoToken)),
        ("Bearer", refused(Reason::NoToken)),
        ("xx Bearer x.y.z", refused(Reason::NoToken)),
    ] {
        assert_eq!(
            world.verdict(&[("authorization", credentials)]),
            verdict,
            "{credentials}"
        );
    }
    let huge = "x".repeat(1_000_000);
    assert_eq!(world.judge(&huge), refused(Reason::Malformed));
    assert_eq!(world.signatures(), 0);
}

#[test]
fn an_obviously_invalid_token_costs_no_signature() {
    let mut world = World::new(one_provider(json!({"audiences": ["shop"]})));
    for claims in [
        json!({"exp": 1}),
        json!({"aud": "other"}),
        json!({"iss": "https://evil.example"}),
    ] {
        assert_ne!(world.judge(&token(claims)), VERIFIED);
    }
    assert_eq!(world.signatures(), 0);
    assert_eq!(
        world.judge(&forged(json!({"aud": "shop"}))),
        refused(Reason::Signature)
    );
    assert_eq!(world.signatures(), 1);
}

#[test]
fn a_provider_without_keys_accepts_nothing() {
    let mut world = World::new(one_provider(json!({"jwks": {"inline": {"keys": []}}})));
    assert_eq!(world.judge(&token(json!({}))), refused(Reason::UnknownKey));
}

#[test]
fn revoked_tokens_are_refused_by_issuer_and_id() {
    let mut config = one_provider(json!({}));
    config["revocation"] = json!({"inline": [{"iss": IDP, "jti": "x"}]});
    let mut world = World::new(config);
    assert_eq!(
        world.judge(&token(json!({"jti": "x"}))),
        refused(Reason::Revoked)
    );
    assert_eq!(world.judge(&token(json!({"jti": "y"}))), VERIFIED);
    assert_eq!(world.judge(&token(json!({}))), VERIFIED);
}
