//! Requests that a limit does not count.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{plugin, scenario, statuses};
use crate::{Filter, Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let limit = |not: Value| {
        json!({"limits": [{"name": "one", "match": {"not": not}, "rate": {"requests": 1, "per": "1h"}}]})
    };
    let gold = limit(json!({"claims": [{"name": "plan.tier", "exact": "gold"}]}));
    vec![
        scenario(
            "rate_limit::no_other_path_is_exempt",
            limit(json!({"path": {"prefix": "/health/"}})),
            no_other_path_is_exempt,
        ),
        scenario(
            "rate_limit::a_network_is_exempt",
            limit(json!({"remote_address": ["10.0.0.0/8", "2001:db8::/32"]})),
            a_network_is_exempt,
        ),
        Scenario {
            name: "rate_limit::a_plan_is_exempt",
            filters: vec![Filter::Claims, plugin(&gold)],
            story: a_plan_is_exempt,
        },
    ]
}

fn no_other_path_is_exempt(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/health/live"), 3), [200; 3]);
    assert_eq!(statuses(world, &Request::get("/"), 2), [200, 429]);
    // A server may read these as others.
    for path in ["/Health/live", "/health/..;/admin", "/health%2flive", "/healthy"] {
        assert_eq!(world.send(Request::get(path)).status, 429, "{path}");
    }
    assert_eq!(world.send(Request::get("/health/live")).status, 200);
}

fn a_network_is_exempt(world: &mut dyn World) {
    let from = |address: &str| {
        let address: IpAddr = address.parse().expect("an address");
        Request::get("/").from(address)
    };
    for address in ["10.1.2.3", "2001:db8:7::1"] {
        assert_eq!(statuses(world, &from(address), 2), [200; 2], "{address}");
    }
    assert_eq!(statuses(world, &from("192.0.2.1"), 2), [200, 429]);
    for address in ["11.0.0.1", "2001:db9::1"] {
        assert_eq!(world.send(from(address)).status, 429, "{address}");
    }
}

fn a_plan_is_exempt(world: &mut dyn World) {
    let with = |claims: Value| {
        Request::get("/").header("authorization", format!("Bearer {claims}"))
    };
    let gold = with(json!({"plan": {"tier": "gold"}}));
    assert_eq!(statuses(world, &gold, 3), [200; 3]);
    assert_eq!(statuses(world, &Request::get("/"), 2), [200, 429]);
    let free = with(json!({"plan": {"tier": "free"}}));
    assert_eq!(world.send(free).status, 429);
    assert_eq!(world.send(gold).status, 200);
}
