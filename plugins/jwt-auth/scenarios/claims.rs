//! Claims in headers for the upstream.

use serde_json::{Value, json};

use super::signer::token;
use super::{decisions, scenario, with_rules, with_token};
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
            with_rules(settings.clone(), rules.clone()),
            what_clients_send_in_claim_headers_never_arrives,
        ),
        scenario(
            "jwt_auth::a_claim_that_would_become_anothers_value_is_refused",
            with_rules(settings.clone(), rules.clone()),
            a_claim_that_would_become_anothers_value_is_refused,
        ),
        scenario(
            "jwt_auth::no_spelling_of_a_claim_header_arrives",
            with_rules(settings, rules),
            no_spelling_of_a_claim_header_arrives,
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
    assert_eq!(user(world, json!(null)), None);
}

fn a_claim_that_would_become_anothers_value_is_refused(world: &mut dyn World) {
    let unsafe_subjects = [
        "admin\n",
        "admin\0",
        " admin",
        "admin\t",
        "\radmin",
        "admin\u{7f}",
        "ad\u{85}min",
        "admin\u{a0}",
        "\u{2003}admin",
        "admin\u{3000}",
        "\u{feff}admin",
        " ",
        "ada,admin",
        "ada\r\nx-admin: 1",
        r#"["admin"]"#,
        "{}",
    ];
    for sub in unsafe_subjects {
        let response = world.send(with_token(Request::get("/"), &token(json!({ "sub": sub }))));
        assert_eq!(response.status, 403, "{sub:?}");
        assert_eq!(response.get_header("www-authenticate"), None);
        // Such a token is also refused where a request without a token passes.
        let request = with_token(Request::get("/optional/"), &token(json!({ "sub": sub })));
        assert_eq!(world.send(request).status, 403, "{sub:?}");
    }
    assert!(world.received().is_empty());
    let count = u64::try_from(unsafe_subjects.len()).expect("a small number");
    assert_eq!(decisions(world, "rest", "refused", "claim_header"), count);
    for sub in [
        "admin",
        "Doe, John",
        "a b",
        "Jürgen",
        "[admin]",
        "{x",
        "x,",
        "CN=x, O=y",
    ] {
        assert_eq!(user(world, json!(sub)).as_deref(), Some(sub));
    }
}

fn no_spelling_of_a_claim_header_arrives(world: &mut dyn World) {
    let spellings = [
        "x-user",
        "x_user",
        "X_USER",
        "x.user",
        "x~user",
        "x_roles",
        "x.jwt_payload",
    ];
    for name in spellings {
        for path in ["/public/", "/optional/"] {
            let request = Request::get(path)
                .header(name, "admin")
                .header("x--user", "0");
            assert_eq!(world.send(request).status, 200, "{path} {name}");
            for received in world.received() {
                assert_eq!(received.get_header(name), None, "{path} {name}");
                assert_eq!(received.get_header("x--user").as_deref(), Some("0"));
            }
        }
        let request = with_token(Request::get("/").header(name, "admin"), &token(json!({})));
        assert_eq!(world.send(request).status, 200, "{name}");
        for received in world.received() {
            let user = (name == "x-user").then(|| "ada".to_owned());
            assert_eq!(received.get_header(name), user, "{name}");
            assert_eq!(received.get_header("x-user").as_deref(), Some("ada"));
        }
    }
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
