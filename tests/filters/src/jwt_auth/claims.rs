//! Claims in headers for the upstream.

use serde_json::{Value, json};

use super::signer::token;
use super::{scenario, with_rules, with_token};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let settings = json!({
        "claims_to_headers": {"X-User": "sub", "x-roles": "realm_access.roles"},
        "forward_payload_header": "x-jwt-payload",
    });
    let rules = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "optional", "match": {"path": {"prefix": "/optional/"}},
         "require": {"provider": "corp"}, "allow_missing": true},
        {"name": "rest", "require": {"provider": "corp"}},
    ]);
    vec![
        scenario(
            "jwt_auth::claims_come_in_headers",
            with_rules(settings.clone(), rules.clone()),
            claims_come_in_headers,
        ),
        scenario(
            "jwt_auth::what_clients_send_in_claim_headers_never_arrives",
            with_rules(settings, rules),
            what_clients_send_in_claim_headers_never_arrives,
        ),
    ]
}

fn user(world: &mut dyn World, sub: Value) -> Option<String> {
    let token = token(json!({ "sub": sub }));
    assert_eq!(
        world.send(with_token(Request::get("/"), &token)).status,
        200
    );
    world
        .received()
        .first()
        .and_then(|request| request.get_header("x-user"))
}

fn claims_come_in_headers(world: &mut dyn World) {
    let token = token(json!({"realm_access": {"roles": ["ops", "sre"]}}));
    assert_eq!(
        world.send(with_token(Request::get("/"), &token)).status,
        200
    );
    for request in world.received() {
        assert_eq!(request.get_header("x-user").as_deref(), Some("ada"));
        assert_eq!(request.get_header("x-roles").as_deref(), Some("ops,sre"));
        assert_eq!(
            request.get_header("x-jwt-payload").as_deref(),
            token.split('.').nth(1)
        );
    }
    assert_eq!(user(world, json!("Jürgen")).as_deref(), Some("Jürgen"));
    let smuggled = user(world, json!("ada\r\nx-admin: 1\u{0}"));
    assert_eq!(smuggled.as_deref(), Some("ada  x-admin: 1"));
    assert_eq!(user(world, json!(null)), None);
}

fn what_clients_send_in_claim_headers_never_arrives(world: &mut dyn World) {
    let forged = |request: Request| {
        request
            .header("x-user", "root")
            .header("x-user", "eve")
            .header("X-Roles", "admin")
            .header("x-jwt-payload", "e30")
    };
    let preflight = Request::new("OPTIONS", "/")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "PUT");
    for request in [
        Request::get("/public/"),
        Request::get("/optional/"),
        preflight,
    ] {
        assert_eq!(world.send(forged(request)).status, 200);
        for received in world.received() {
            for name in ["x-user", "x-roles", "x-jwt-payload"] {
                assert_eq!(received.get_header(name), None, "{name}");
            }
        }
    }
    let request = with_token(forged(Request::get("/")), &token(json!({})));
    assert_eq!(world.send(request).status, 200);
    for received in world.received() {
        assert_eq!(received.get_header("x-user").as_deref(), Some("ada"));
        assert_eq!(received.get_header("x-roles"), None);
    }
}
