//! Verified claims from jwt-auth, which no client can forge.

use serde_json::{Value, json};

use super::keys::assert_counted_apart;
use super::plugin;
use crate::{Filter, Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let by_claim = |claim: &str, missing: &str| {
        plugin(
            &json!({"limits": [{"name": "one", "key": [{"claim": claim}], "missing": missing,
            "rate": {"requests": 1, "per": "1h"}}]}),
        )
    };
    vec![
        Scenario {
            name: "rate_limit::claims_are_told_apart_by_value",
            filters: vec![Filter::Claims, by_claim("sub", "share")],
            story: claims_are_told_apart_by_value,
        },
        Scenario {
            name: "rate_limit::claims_may_be_nested",
            filters: vec![Filter::Claims, by_claim("realm.tenant", "share")],
            story: claims_may_be_nested,
        },
        Scenario {
            name: "rate_limit::no_client_can_forge_a_claim",
            filters: vec![Filter::Claims, by_claim("sub", "deny")],
            story: no_client_can_forge_a_claim,
        },
    ]
}

/// A request whose token has these claims.
fn with(claims: &Value) -> Request {
    Request::get("/").header("authorization", format!("Bearer {claims}"))
}

fn claims_are_told_apart_by_value(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![
                with(&json!({"sub": "ada", "jti": 1})),
                with(&json!({"jti": 2, "sub": "ada"})),
            ],
            vec![with(&json!({"sub": "bob"}))],
            vec![with(&json!({"sub": 7})), with(&json!({"sub": 7}))],
            // A list does not count as a value.
            vec![
                Request::get("/"),
                with(&json!({"other": "ada"})),
                with(&json!({"sub": ["ada"]})),
            ],
        ],
    );
}

fn claims_may_be_nested(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![
                with(&json!({"realm": {"tenant": "a"}})),
                with(&json!({"realm.tenant": "a"})),
            ],
            vec![with(&json!({"realm": {"tenant": "b"}}))],
        ],
    );
}

fn no_client_can_forge_a_claim(world: &mut dyn World) {
    let claims = json!({"sub": "ada"}).to_string();
    for name in [
        "portcullis.jwt.claims",
        "wasm.portcullis.jwt.claims",
        "x-portcullis-jwt-claims",
        "x-jwt-payload",
        "sub",
    ] {
        let forged = Request::get("/").header(name, &claims);
        assert_eq!(world.send(forged).status, 429, "{name}");
    }
    assert_eq!(world.send(with(&json!({"sub": "ada"}))).status, 200);
}
