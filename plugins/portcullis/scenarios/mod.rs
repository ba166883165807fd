//! What a user of the module of all plugins would notice, beyond the stories of each plugin.

use serde_json::{Value, json};

use crate::tokens::{Algorithm, Issuer};
use crate::{Filter, Request, Scenario, World, counter};

/// The scenarios of all plugins together.
pub fn scenarios() -> Vec<Scenario> {
    let claims = json!({"jwt_auth": jwt_auth(), "rate_limit": by_subject("inside", 2)});
    let refused = json!({"security_headers": {"name": "edge"}, "rate_limit": by_address()});
    vec![
        Scenario {
            name: "portcullis::claims_reach_limits_in_the_module_and_behind_it",
            filters: vec![
                one_module(&claims),
                plugin("rate_limit", &by_subject("behind", 9)),
            ],
            story: claims_reach_limits,
        },
        Scenario {
            name: "portcullis::a_refusal_has_the_headers_of_the_plugins_before",
            filters: vec![one_module(&refused)],
            story: refusal_has_headers,
        },
        Scenario {
            name: "portcullis::counts_survive_the_way_to_one_module_and_back",
            filters: vec![plugin("rate_limit", &by_address())],
            story: counts_survive,
        },
    ]
}

fn one_module(members: &Value) -> Filter {
    plugin("portcullis", members)
}

fn plugin(module: &'static str, config: &Value) -> Filter {
    Filter::Plugin {
        module,
        config: config.to_string(),
    }
}

/// The year 2100.
const LATE: u64 = 4_102_444_800;

fn issuer() -> Issuer {
    Issuer::new("https://idp.example", Algorithm::ES256)
}

fn jwt_auth() -> Value {
    json!({
        "name": "edge",
        "providers": {"corp": {
            "issuer": "https://idp.example", "audiences": ["shop"],
            "jwks": {"inline": issuer().jwks()},
        }},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
    })
}

fn by_subject(name: &str, requests: u32) -> Value {
    json!({
        "name": name,
        "limits": [{
            "name": "users", "key": [{"claim": "sub"}], "missing": "deny",
            "rate": {"requests": requests, "per": "1h"},
        }],
    })
}

fn by_address() -> Value {
    json!({
        "name": "edge",
        "limits": [{"name": "all", "key": ["method"], "rate": {"requests": 2, "per": "1h"}}],
    })
}

fn send_as(world: &mut dyn World, subject: &str) -> u16 {
    let token = issuer().token(0).without("nbf").without("iat");
    let token = token
        .claim("aud", "shop")
        .claim("sub", subject)
        .claim("exp", LATE);
    let bearer = format!("Bearer {}", token.sign());
    let request = Request::get("/").header("authorization", bearer.as_str());
    world.send(request).status
}

fn claims_reach_limits(world: &mut dyn World) {
    assert_eq!(send_as(world, "ada"), 200);
    assert_eq!(send_as(world, "ada"), 200);
    assert_eq!(send_as(world, "ada"), 429);
    assert_eq!(send_as(world, "bob"), 200);
    let admitted = |policy| counter("rate_limit", policy, &[("limit", "users")], "admitted");
    assert_eq!(world.counter(&admitted("inside")), 3);
    assert_eq!(world.counter(&admitted("behind")), 3);
}

fn refusal_has_headers(world: &mut dyn World) {
    world.send(Request::get("/"));
    world.send(Request::get("/"));
    let refused = world.send(Request::get("/"));
    assert_eq!(refused.status, 429);
    let frames = refused.get_header("x-frame-options");
    assert_eq!(frames.as_deref(), Some("SAMEORIGIN"));
}

fn counts_survive(world: &mut dyn World) {
    assert_eq!(world.send(Request::get("/")).status, 200);
    world.reconfigure(&[one_module(&json!({"rate_limit": by_address()}))]);
    assert_eq!(world.send(Request::get("/")).status, 200);
    assert_eq!(world.send(Request::get("/")).status, 429);
    world.reconfigure(&[plugin("rate_limit", &by_address())]);
    assert_eq!(world.send(Request::get("/")).status, 429);
    assert_eq!(world.send(Request::post("/")).status, 200);
}
