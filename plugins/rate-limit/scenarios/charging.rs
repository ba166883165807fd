//! Responses that report the cost of their requests.

use serde_json::json;

use super::{remaining, scenario, statuses};
use crate::{Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let charged = |reserved: u32| {
        json!({
            "limits": [{"name": "all", "rate": {"requests": 10, "per": "1h"}, "cost": reserved,
                "charge_response": {"header": "x-actual-cost", "max": 30}}],
            "response_headers": ["ratelimit"],
        })
    };
    vec![
        scenario(
            "rate_limit::a_response_charges_more_into_debt",
            charged(1),
            a_response_charges_more_into_debt,
        ),
        scenario(
            "rate_limit::a_response_gives_back_what_was_not_used",
            charged(5),
            a_response_gives_back_what_was_not_used,
        ),
    ]
}

fn upstream_charges(world: &mut dyn World, cost: &str) {
    let response = Response::new(200).header("x-actual-cost", cost);
    world.upstream(Upstream::Answers(response));
}

fn a_response_charges_more_into_debt(world: &mut dyn World) {
    upstream_charges(world, "4");
    assert_eq!(remaining(world, Request::get("/")), Some(6));
    upstream_charges(world, "as much as there is");
    assert_eq!(
        remaining(world, Request::get("/")),
        Some(5),
        "what was reserved stands"
    );

    // 5 remain. At most 30 of the 1000 are charged, which leaves a debt of 25.
    upstream_charges(world, "1000");
    assert_eq!(remaining(world, Request::get("/")), Some(0));
    let denied = world.send(Request::get("/"));
    assert_eq!(denied.status, 429);
    // It takes 26 × 6 minutes until one more fits.
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("9360"));
}

fn a_response_gives_back_what_was_not_used(world: &mut dyn World) {
    upstream_charges(world, "1");
    for left in (1..=5).rev() {
        // The response shows the remaining amount after its own refund.
        assert_eq!(remaining(world, Request::get("/")), Some(left + 4));
    }
    upstream_charges(world, "0");
    assert_eq!(remaining(world, Request::get("/")), Some(5));
    // If the upstream does not answer, the reservation stands.
    world.upstream(Upstream::Unreachable);
    assert_eq!(statuses(world, &Request::get("/"), 2), [503, 429]);
}
