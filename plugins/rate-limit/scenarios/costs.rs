//! Costs of requests.

use serde_json::json;

use super::{counter, counter_by_reason, remaining, scenario, statuses};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::a_fixed_cost_counts_for_every_request",
            json!({"limits": [{"name": "all", "cost": 4, "rate": {"requests": 10, "per": "1h"}}],
                "response_headers": ["ratelimit"]}),
            a_fixed_cost_counts_for_every_request,
        ),
        scenario(
            "rate_limit::a_header_says_what_a_request_costs",
            json!({"limits": [{"name": "all", "rate": {"requests": 100, "per": "1h"},
                    "cost": {"header": "x-cost", "default": 2, "max": 10}}],
                "response_headers": ["ratelimit"]}),
            a_header_says_what_a_request_costs,
        ),
        scenario(
            "rate_limit::a_cost_of_zero_only_looks",
            json!({"name": "edge",
                "limits": [{"name": "all", "rate": {"requests": 2, "per": "1h"},
                    "cost": {"header": "x-cost"}}],
                "response_headers": ["ratelimit"]}),
            a_cost_of_zero_only_looks,
        ),
        scenario(
            "rate_limit::a_cost_that_never_fits_is_denied_for_that_reason",
            json!({"name": "edge",
                "limits": [{"name": "all", "rate": {"requests": 3, "per": "1m"},
                    "cost": {"header": "x-cost"}}],
                "response_headers": ["ratelimit"]}),
            a_cost_that_never_fits_is_denied_for_that_reason,
        ),
    ]
}

fn cost(cost: &str) -> Request {
    Request::get("/").header("x-cost", cost)
}

fn a_fixed_cost_counts_for_every_request(world: &mut dyn World) {
    assert_eq!(remaining(world, Request::get("/")), Some(6));
    assert_eq!(remaining(world, Request::get("/")), Some(2));
    // Two remain, which are not enough, and stay.
    let denied = world.send(Request::get("/"));
    assert_eq!(denied.status, 429);
    // It takes 2 × 6 minutes until four are available.
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("720"));
    assert_eq!(remaining(world, Request::get("/")), Some(2));
}

fn a_header_says_what_a_request_costs(world: &mut dyn World) {
    assert_eq!(remaining(world, cost("5")), Some(95));
    assert_eq!(remaining(world, Request::get("/")), Some(93), "the default");
    assert_eq!(remaining(world, cost("many")), Some(91), "not a number");
    assert_eq!(remaining(world, cost("-1")), Some(89), "not a whole number");
    assert_eq!(remaining(world, cost("99999999999")), Some(79), "the maximum");
    let several = cost("1").header("x-cost", "3");
    assert_eq!(remaining(world, several), Some(76), "the largest of them");
}

fn a_cost_of_zero_only_looks(world: &mut dyn World) {
    assert_eq!(remaining(world, cost("0")), Some(2));
    assert_eq!(remaining(world, cost("0")), Some(2));
    assert_eq!(statuses(world, &cost("1"), 3), [200, 200, 429]);
    // A cost of 0 passes even if nothing remains.
    let look = world.send(cost("0"));
    assert_eq!(look.status, 200);
    assert_eq!(
        look.get_header("ratelimit").as_deref(),
        Some(r#""all";r=0;t=1800"#)
    );
    assert_eq!(counter(world, "all", "admitted"), 5);
}

fn a_cost_that_never_fits_is_denied_for_that_reason(world: &mut dyn World) {
    let denied = world.send(cost("4"));
    assert_eq!(denied.status, 429);
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("60"));
    assert_eq!(
        counter_by_reason(world, "all", "cost_too_large", "denied"),
        1
    );
    // The denied request consumed nothing: the full cost still fits.
    assert_eq!(statuses(world, &cost("3"), 2), [200, 429]);
    assert_eq!(counter_by_reason(world, "all", "rate_limited", "denied"), 1);
}
