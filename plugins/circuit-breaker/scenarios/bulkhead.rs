//! The limit of requests under way.

use std::time::Duration;

use serde_json::json;

use super::{breaker, counter, counter_by_reason, get, ok, reason, retry_after, scenario, silent};
use crate::{Answer, Cluster, Request, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::so_many_requests_may_be_under_way",
            &breaker(json!({"max_concurrent": 2, "fallback": {"status": 200}})),
            so_many,
        ),
        scenario(
            "circuit_breaker::a_request_that_lasts_for_too_long_is_no_longer_counted",
            &breaker(json!({"max_concurrent": 1, "concurrent_lease": "1s"})),
            lease,
        ),
        scenario(
            "circuit_breaker::of_many_at_once_as_many_pass_as_may_be_under_way",
            &breaker(json!({"max_concurrent": 5})),
            together,
        ),
    ]
}

fn so_many(world: &mut dyn World) {
    world.upstream(silent());
    let first = world.begin(Request::get("/"));
    let second = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 2);
    let rejected = get(world);
    assert_eq!((rejected.status, &*reason(&rejected)), (503, "bulkhead"));
    assert_eq!(retry_after(&rejected), "1");
    assert_eq!(counter_by_reason(world, "rejected", "bulkhead"), 1);

    world.abandon(first);
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(get(world).status, 200);
    assert_eq!(get(world).status, 200, "what has ended makes room");
    world.abandon(second);
    assert_eq!(get(world).status, 200);
}

fn lease(world: &mut dyn World) {
    world.upstream(silent());
    let long = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);
    assert_eq!(reason(&get(world)), "bulkhead");
    world.pass(Duration::from_millis(1_300));
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(get(world).status, 200);
    assert_eq!(counter(world, "leases_expired"), 1);
    // Its end does not change the count.
    world.abandon(long);
    assert_eq!(get(world).status, 200);
}

fn together(world: &mut dyn World) {
    let late = Answer::from(ok()).after(Duration::from_millis(500));
    world.upstream(Upstream::always(late));
    for _ in 0..2 {
        let responses = world.send_together(vec![Request::get("/"); 20]);
        let passed = responses.iter().filter(|one| one.status == 200).count();
        assert_eq!((passed, world.received().len()), (5, 5));
    }
}
