//! Refused requests, and the responses to their clients.

use serde_json::json;

use super::signer::{LATE, forged, token, token_with};
use super::{decisions, one_provider, scenario, with_rules, with_token};
use crate::{Request, Response, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let demanding = json!([{
        "name": "all",
        "require": {"provider": "corp"},
        "scopes": ["read", "admin"],
        "claims": {"realm.groups": {"any": ["ops", "sre"]}},
        "step_up": {"acr": ["mfa"], "max_age": "15m"},
    }]);
    vec![
        scenario(
            "jwt_auth::without_a_token_there_is_a_bare_challenge",
            one_provider(json!({})),
            without_a_token_there_is_a_bare_challenge,
        ),
        scenario(
            "jwt_auth::whatever_is_wrong_with_a_token_looks_the_same",
            one_provider(json!({})),
            whatever_is_wrong_with_a_token_looks_the_same,
        ),
        scenario(
            "jwt_auth::several_tokens_are_a_bad_request",
            one_provider(
                json!({"from": [{"header": "authorization"}, {"query": "t"}, {"cookie": "t"}]}),
            ),
            several_tokens_are_a_bad_request,
        ),
        scenario(
            "jwt_auth::what_is_missing_in_a_good_token_is_named",
            with_rules(json!({}), demanding),
            what_is_missing_in_a_good_token_is_named,
        ),
        scenario(
            "jwt_auth::grpc_gets_statuses_of_its_own",
            with_rules(
                json!({}),
                json!([{"name": "all", "require": {"provider": "corp"}, "scopes": ["admin"]}]),
            ),
            grpc_gets_statuses_of_its_own,
        ),
        scenario(
            "jwt_auth::hostile_requests_are_answered",
            one_provider(json!({})),
            hostile_requests_are_answered,
        ),
    ]
}

fn assert_refused(response: &Response, status: u16, challenge: &str) {
    assert_eq!(response.status, status);
    let header = |name: &str| response.get_header(name);
    assert_eq!(header("www-authenticate").as_deref(), Some(challenge));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("content-type").as_deref(), Some("text/plain"));
    assert!(response.body.len() < 40);
}

fn without_a_token_there_is_a_bare_challenge(world: &mut dyn World) {
    for request in [
        Request::get("/?secret=1"),
        Request::get("/").header("authorization", "Basic eDp5"),
    ] {
        let response = world.send(request);
        assert_refused(&response, 401, r#"Bearer realm="edge""#);
        assert_eq!(response.body, b"Authentication required\n");
    }
    assert_eq!(decisions(world, "all", "refused", "no_token"), 2);
    assert!(world.received().is_empty());
}

fn whatever_is_wrong_with_a_token_looks_the_same(world: &mut dyn World) {
    for (reason, token) in [
        ("malformed", "x.y.z".to_owned()),
        ("malformed", token_with(&json!({"alg": "none"}))),
        (
            "malformed",
            token_with(&json!({"alg": "ES256", "kid": "a", "crit": ["exp"], "exp": 1})),
        ),
        ("issuer", token(json!({"iss": "https://other.example"}))),
        (
            "algorithm",
            token_with(&json!({"alg": "HS256", "kid": "a"})),
        ),
        (
            "type",
            token_with(&json!({"alg": "ES256", "kid": "a", "typ": "logout+jwt"})),
        ),
        ("no_expiration", token(json!({"exp": null}))),
        ("expired", token(json!({"exp": 1_000_000_000}))),
        ("not_yet_valid", token(json!({"nbf": 4_000_000_000_u64}))),
        ("issued_in_future", token(json!({"iat": 4_000_000_000_u64}))),
        ("audience", token(json!({"aud": ["other"]}))),
        (
            "unknown_key",
            token_with(&json!({"alg": "ES256", "kid": "b"})),
        ),
        ("signature", forged(json!({}))),
    ] {
        let before = decisions(world, "all", "refused", reason);
        let response = world.send(with_token(Request::get("/?secret=1"), &token));
        assert_refused(
            &response,
            401,
            r#"Bearer realm="edge", error="invalid_token""#,
        );
        assert_eq!(response.body, b"Invalid token\n");
        let after = decisions(world, "all", "refused", reason);
        assert_eq!(after, before + 1, "{reason}");
    }
    assert!(world.received().is_empty());
}

fn several_tokens_are_a_bad_request(world: &mut dyn World) {
    let (token, other) = (token(json!({})), token(json!({"sub": "eve"})));
    let bearer = format!("Bearer {token}");
    let requests = [
        Request::get(&format!("/?t={other}")).header("authorization", &bearer),
        Request::get(&format!("/?t={token}&t={other}")),
        Request::get("/")
            .header("cookie", format!("t={other}"))
            .header("authorization", &bearer),
        Request::get("/").header("authorization", format!("Bearer {bearer}")),
        Request::get("/").header("authorization", format!("{bearer}, {bearer}")),
    ];
    for request in requests {
        let response = world.send(request);
        assert_refused(
            &response,
            400,
            r#"Bearer realm="edge", error="invalid_request""#,
        );
    }
    assert_eq!(decisions(world, "all", "refused", "several_tokens"), 3);
    assert_eq!(decisions(world, "all", "refused", "not_a_token"), 2);
}

fn what_is_missing_in_a_good_token_is_named(world: &mut dyn World) {
    let scope = r#"Bearer realm="edge", error="insufficient_scope", scope="read admin""#;
    let step_up = concat!(
        r#"Bearer realm="edge", error="insufficient_user_authentication", "#,
        r#"acr_values="mfa", max_age="900""#
    );
    let groups = json!({"groups": ["sre"]});
    for (claims, status, challenge, reason) in [
        (json!({"scope": "read"}), 403, scope, "scope"),
        (json!({"scope": "read admin"}), 403, scope, "claim"),
        (
            json!({"scp": ["admin", "read"], "realm": groups}),
            401,
            step_up,
            "authentication_context",
        ),
        (
            json!({"scope": "admin read", "realm": groups, "acr": "mfa", "auth_time": 1}),
            401,
            step_up,
            "authentication_age",
        ),
    ] {
        let response = world.send(with_token(Request::get("/"), &token(claims)));
        assert_refused(&response, status, challenge);
        assert_eq!(decisions(world, "all", "refused", reason), 1, "{reason}");
    }
    let all = json!({"scope": "admin read", "realm": groups, "acr": "mfa", "auth_time": LATE});
    assert_eq!(
        world
            .send(with_token(Request::get("/"), &token(all)))
            .status,
        200
    );
}

fn grpc_gets_statuses_of_its_own(world: &mut dyn World) {
    let call = || Request::post("/shop.v1.Orders/List").header("content-type", "application/grpc");
    for (request, grpc_status) in [
        (call(), "16"),
        (with_token(call(), &forged(json!({}))), "16"),
        (with_token(call(), &token(json!({}))), "7"),
    ] {
        let response = world.send(request);
        assert_eq!(response.status, 200);
        assert_eq!(
            response.get_header("grpc-status").as_deref(),
            Some(grpc_status)
        );
    }
    assert!(world.received().is_empty());
}

fn hostile_requests_are_answered(world: &mut dyn World) {
    let bearer = |bytes: &[u8]| [b"Bearer ", bytes].concat();
    for (credentials, status) in [
        (bearer(b"\xff\xfe.\x80."), 400),
        (bearer(&b"x".repeat(50_000)), 401),
        (bearer(&b".".repeat(10_000)), 401),
        (bearer(b"eyJhbGciOiJub25lIn0.e30."), 401),
        (bearer(b"e30.e30.e30"), 401),
        (bearer(b"=.=.="), 401),
        (bearer(b"Bearer"), 401),
        (b"Bearer".to_vec(), 401),
        (b"\xff".to_vec(), 401),
    ] {
        let response = world.send(Request::get("/").header("authorization", &credentials));
        let shown = String::from_utf8_lossy(&credentials);
        let shown: String = shown.chars().take(40).collect();
        assert_eq!(response.status, status, "{shown}");
    }
    assert!(world.received().is_empty());
    assert_eq!(super::status(world, &token(json!({}))), 200);
}
