//! Responses that report the cost of their requests.

use serde_json::{Value, json};

use super::{plugin, remaining, scenario, statuses};
use crate::{
    Filter, Request, Response, Scenario, USAGE_HEADER, USAGE_KEY, USAGE_NAMESPACE, Upstream, World,
};

pub(super) fn scenarios() -> Vec<Scenario> {
    let charged = |reserved: u32| {
        json!({
            "limits": [{"name": "all", "rate": {"requests": 10, "per": "1h"}, "cost": reserved,
                "charge_response": {"header": "x-actual-cost", "max": 30}}],
            "response_headers": ["ratelimit"],
        })
    };
    let with_charge = |limit: &str, charge: Value| {
        json!({
            "limits": [{"name": limit, "rate": {"requests": 10, "per": "1h"}, "cost": 2,
                "charge_response": charge}],
            "response_headers": ["ratelimit"],
        })
    };
    let usage = json!({"metadata": {"namespace": USAGE_NAMESPACE, "key": USAGE_KEY}, "max": 30});
    vec![
        scenario(
            "rate_limit::only_failed_logins_are_charged",
            with_charge("logins", json!({"statuses": [401, 403]})),
            only_failed_logins_are_charged,
        ),
        scenario(
            "rate_limit::a_trailer_charges",
            with_charge("calls", json!({"trailer": "x-cost", "max": 30})),
            a_trailer_charges,
        ),
        Scenario {
            name: "rate_limit::dynamic_metadata_charge_at_the_end",
            filters: vec![plugin(&with_charge("tokens", usage)), Filter::Usage],
            story: dynamic_metadata_charge_at_the_end,
        },
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

fn only_failed_logins_are_charged(world: &mut dyn World) {
    let login = || Request::post("/login");
    for (status, left) in [(200, 10), (401, 8), (302, 8), (403, 6), (503, 6), (401, 4)] {
        world.upstream(Upstream::Answers(Response::new(status)));
        assert_eq!(remaining(world, login()), Some(left), "{status}");
    }
    assert_eq!(statuses(world, &login(), 3), [401, 401, 429]);
}

fn a_trailer_charges(world: &mut dyn World) {
    let call = |cost: &str| Response::grpc(0).trailer("x-cost", cost);
    // The headers come before the trailers, and show the reservation.
    world.upstream(Upstream::Answers(call("5")));
    assert_eq!(remaining(world, Request::grpc("/a/b")), Some(8));
    world.upstream(Upstream::Answers(call("0")));
    assert_eq!(remaining(world, Request::grpc("/a/b")), Some(3));
    assert_eq!(remaining(world, Request::grpc("/a/b")), Some(3));
    // Without a message, the trailers are headers.
    let only = Response::grpc_trailers_only(5).header("x-cost", "1");
    world.upstream(Upstream::Answers(only));
    assert_eq!(remaining(world, Request::grpc("/a/b")), Some(4));
    // Without the trailer, the reservation stands.
    world.upstream(Upstream::Answers(Response::grpc(0)));
    assert_eq!(remaining(world, Request::grpc("/a/b")), Some(2));
    assert_eq!(remaining(world, Request::grpc("/a/b")), Some(0));
}

fn dynamic_metadata_charge_at_the_end(world: &mut dyn World) {
    let used = |tokens: &str| Upstream::Answers(Response::new(200).header(USAGE_HEADER, tokens));
    world.upstream(used("1"));
    assert_eq!(remaining(world, Request::get("/")), Some(8));
    world.upstream(used("6"));
    assert_eq!(remaining(world, Request::get("/")), Some(7));
    world.upstream(Upstream::Answers(Response::new(200)));
    assert_eq!(remaining(world, Request::get("/")), Some(1));
    // The response without a number keeps its reservation: none is left for 2.
    assert_eq!(world.send(Request::get("/")).status, 429);
}
