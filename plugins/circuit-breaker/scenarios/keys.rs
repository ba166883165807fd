//! Keys: the values that have a circuit of their own.

use serde_json::json;

use super::{breaker, counter, failure, gauge, named, ok, reason, scenario};
use crate::{Cluster, OTHER_PREFIX, Request, SHOP_PREFIX, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::clusters_have_circuits_of_their_own",
            &breaker(json!({"consecutive_failures": 1, "key": ["cluster"]})),
            clusters,
        ),
        scenario(
            "circuit_breaker::routes_have_circuits_of_their_own",
            &breaker(json!({"consecutive_failures": 1, "key": ["route"]})),
            routes,
        ),
        scenario(
            "circuit_breaker::tenants_have_circuits_of_their_own",
            &breaker(json!({"consecutive_failures": 1, "key": [{"header": "x-tenant"}]})),
            tenants,
        ),
        scenario(
            "circuit_breaker::a_breaker_can_be_for_a_network",
            &breaker(json!({"consecutive_failures": 1, "match": {"remote_address": ["192.0.2.0/24"]}})),
            network,
        ),
        scenario(
            "circuit_breaker::all_breakers_that_match_are_asked",
            &json!({"name": "edge", "breakers": [
                named("all", json!({"consecutive_failures": 2, "max_concurrent": 1})),
                named("shop", json!({"match": {"path": {"prefix": "/shop"}},
                    "consecutive_failures": 1})),
            ]}),
            several,
        ),
    ]
}

fn status(world: &mut dyn World, path: &str) -> u16 {
    world.send(Request::get(path)).status
}

fn clusters(world: &mut dyn World) {
    world.serve(Cluster::Other, Upstream::Answers(failure()));
    let other = format!("{OTHER_PREFIX}a");
    assert_eq!(status(world, &other), 503);
    assert_eq!(reason(&world.send(Request::get(&other))), "circuit_open");
    assert_eq!(status(world, "/"), 200);
    assert_eq!(world.received_by(Cluster::Other).len(), 1);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (2, 1));
}

fn routes(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    let shop = format!("{SHOP_PREFIX}a");
    status(world, &shop);
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reason(&world.send(Request::get(&shop))), "circuit_open");
    assert_eq!(status(world, "/"), 200);
}

fn network(world: &mut dyn World) {
    let from = |address: [u8; 4]| Request::get("/").from(address);
    world.upstream(Upstream::Answers(failure()));
    world.send(from([198, 51, 100, 1]));
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(world.send(from([192, 0, 2, 1])).status, 200);
    world.upstream(Upstream::Answers(failure()));
    world.send(from([192, 0, 2, 1]));
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reason(&world.send(from([192, 0, 2, 2]))), "circuit_open");
    assert_eq!(world.send(from([198, 51, 100, 1])).status, 200);
}

fn tenants(world: &mut dyn World) {
    let of = |tenant: &str| Request::get("/").header("x-tenant", tenant);
    world.upstream(Upstream::Answers(failure()));
    world.send(of("one"));
    world.send(Request::get("/"));
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reason(&world.send(of("one"))), "circuit_open");
    assert_eq!(world.send(of("two")).status, 200);
    // All requests without the header share one circuit.
    assert_eq!(reason(&world.send(Request::get("/"))), "circuit_open");
    assert_eq!(gauge(world, "open_keys"), 2);
}

fn several(world: &mut dyn World) {
    let shop = format!("{SHOP_PREFIX}a");
    world.upstream(Upstream::Answers(failure()));
    status(world, &shop);
    world.upstream(Upstream::Answers(ok()));
    // The first breaker gets its permit back when the second rejects: it has room for one request at a time.
    for _ in 0..3 {
        assert_eq!(reason(&world.send(Request::get(&shop))), "circuit_open");
        assert_eq!(status(world, "/"), 200);
    }
    assert_eq!(counter(world, "failures"), 1);
}
