//! Responses to refused requests.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn challenges_follow_the_rfcs() {
    let mut world = World::new(one_rule(json!({
        "scopes": ["read", "admin"],
        "step_up": {"acr": ["mfa", "hwk"], "max_age": "15m"},
    })));
    let token = |claims: Value| format!("Bearer {}", token(claims));
    for (credentials, status, grpc_status, challenge) in [
        (String::new(), 401, 16, r#"Bearer realm="edge""#),
        (
            "Bearer a b".to_owned(),
            400,
            3,
            r#"Bearer realm="edge", error="invalid_request""#,
        ),
        (
            "Bearer x".to_owned(),
            401,
            16,
            r#"Bearer realm="edge", error="invalid_token""#,
        ),
        (
            token(json!({"exp": 1})),
            401,
            16,
            r#"Bearer realm="edge", error="invalid_token""#,
        ),
        (
            token(json!({})),
            403,
            7,
            r#"Bearer realm="edge", error="insufficient_scope", scope="read admin""#,
        ),
        (
            token(json!({"scope": "read admin"})),
            401,
            16,
            r#"Bearer realm="edge", error="insufficient_user_authentication", acr_values="mfa hwk", max_age="900""#,
        ),
    ] {
        let outcome = world.send(&[("authorization", &credentials)]);
        assert_eq!(
            outcome.challenge().as_deref(),
            Some(challenge),
            "{credentials}"
        );
        let reply = outcome.reply.unwrap();
        assert_eq!(
            (reply.status, reply.grpc_status),
            (status, Some(grpc_status))
        );
        let no_store = (Bytes::from("cache-control"), Bytes::from("no-store"));
        assert!(reply.headers.contains(&no_store));
    }
}

#[test]
fn all_faults_of_a_token_look_the_same() {
    let mut world = World::new(one_provider(json!({"audiences": ["shop"]})));
    let unknown = json!({"alg": "RS256", "kid": "x"});
    let claims = json!({"iss": IDP, "aud": "shop", "exp": START + 600});
    let tokens = [
        "x.y.z".to_owned(),
        token(json!({"exp": 1})),
        token(json!({"aud": "other"})),
        token(json!({"iss": "https://other.example"})),
        forged(json!({"aud": "shop"})),
        signed(&unknown, &claims, "good"),
    ];
    let mut replies = Vec::new();
    for token in &tokens {
        let mut reply = world.bearer(token).reply.unwrap();
        assert!(reply.details.starts_with(b"jwt_refused{"));
        reply.details = "".into();
        replies.push(reply);
    }
    assert_eq!(replies[0].status, 401);
    assert!(replies.iter().all(|reply| *reply == replies[0]));
}

#[test]
fn there_is_no_challenge_if_no_token_helps() {
    let mut config = one_provider(json!({}));
    config["rules"][0]["match"] = json!({"path": {"prefix": "/a/"}});
    let mut world = World::new(config);
    let outcome = world.send(&[(":path", "/b/")]);
    assert_eq!((outcome.status(), outcome.challenge()), (Some(403), None));
    let outcome = world.send(&[(":path", "/a/..;/b")]);
    assert_eq!((outcome.status(), outcome.challenge()), (Some(400), None));
}

#[test]
fn a_missing_claim_has_no_scope_to_name() {
    let mut world = World::new(one_rule(json!({"claims": {"tenant": {"equals": "t"}}})));
    let outcome = world.bearer(&token(json!({})));
    assert_eq!(outcome.status(), Some(403));
    assert_eq!(
        outcome.challenge().unwrap(),
        r#"Bearer realm="edge", error="insufficient_scope""#
    );
}
