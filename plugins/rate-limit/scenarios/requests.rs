//! Numbers of requests that come from the request.

use serde_json::{Value, json};

use super::{plugin, scenario, statuses};
use crate::{Filter, Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let rate = |place: &str, name: &str| {
        json!({
            "limits": [{"name": "plan",
                "rate": {"requests": {place: name, "default": 2, "max": 20}, "per": "1h"}}],
            "response_headers": ["ratelimit"],
        })
    };
    vec![
        Scenario {
            name: "rate_limit::a_plan_in_the_token_sets_the_limit",
            filters: vec![Filter::Claims, plugin(&rate("claim", "plan.rph"))],
            story: a_plan_in_the_token_sets_the_limit,
        },
        scenario(
            "rate_limit::a_header_sets_the_limit",
            rate("header", "x-plan-rph"),
            a_header_sets_the_limit,
        ),
    ]
}

/// A request whose token has these claims.
fn with(claims: &Value) -> Request {
    Request::get("/").header("authorization", format!("Bearer {claims}"))
}

fn policy(world: &mut dyn World, request: Request) -> Option<String> {
    world.send(request).get_header("ratelimit-policy")
}

fn a_plan_in_the_token_sets_the_limit(world: &mut dyn World) {
    let small = with(&json!({"plan": {"rph": 4}}));
    assert_eq!(statuses(world, &small, 5), [200, 200, 200, 200, 429]);
    let denied = world.send(small);
    assert_eq!(
        denied.get_header("ratelimit-policy").as_deref(),
        Some(r#""plan";q=4;w=3600"#)
    );
    // All of a quota is used. A larger one recovers sooner, but has no burst either.
    let large = with(&json!({"plan": {"rph": 400}}));
    let denied = world.send(large);
    assert_eq!(denied.status, 429);
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("180"));
    assert_eq!(
        denied.get_header("ratelimit-policy").as_deref(),
        Some(r#""plan";q=20;w=3600"#),
        "at most 20"
    );
    assert_eq!(
        policy(world, with(&json!({"plan": "large"}))).as_deref(),
        Some(r#""plan";q=2;w=3600"#)
    );
    assert_eq!(
        policy(world, with(&json!({"plan": {"rph": 0}}))).as_deref(),
        Some(r#""plan";q=0;w=3600"#)
    );
}

fn a_header_sets_the_limit(world: &mut dyn World) {
    let request = |number: &str| Request::get("/").header("x-plan-rph", number);
    assert_eq!(statuses(world, &Request::get("/"), 1), [200]);
    // Half of the quota is used.
    let both = request("20").header("x-plan-rph", "8");
    assert_eq!(statuses(world, &both, 5), [200, 200, 200, 200, 429]);
    assert_eq!(
        policy(world, both).as_deref(),
        Some(r#""plan";q=8;w=3600"#),
        "the smallest"
    );
}
