//! Deposits: requests pay if they reached an upstream.

use std::time::Duration;

use serde_json::json;

use super::{balance, budget, counter, failure, ok, pay, plugin, scenario};
use crate::{
    Answer, Cluster, Filter, NO_ROUTE_PREFIX, Request, Response, Scenario, Upstream, World,
};

pub(super) fn scenarios() -> Vec<Scenario> {
    let each_pays = || budget(json!({"ratio": 100, "idempotent_only": false}));
    vec![
        scenario(
            "retry_budget::what_has_no_route_pays_for_nothing",
            &each_pays(),
            no_route,
        ),
        Scenario {
            name: "retry_budget::what_a_later_filter_answers_pays_for_nothing",
            filters: vec![plugin(&each_pays()), Filter::DenyAll],
            story: answered_behind,
        },
        scenario(
            "retry_budget::what_reached_the_upstream_pays_however_it_ended",
            &each_pays(),
            reached,
        ),
        scenario(
            "retry_budget::a_budget_can_leave_a_network_out",
            &budget(json!({"ratio": 100, "idempotent_only": false, "match": {"not": {"remote_address": ["10.0.0.0/8"]}}})),
            network,
        ),
        scenario(
            "retry_budget::a_request_pays_when_it_is_answered",
            &each_pays(),
            when_answered,
        ),
        scenario(
            "retry_budget::a_path_that_can_be_read_in_two_ways_pays_for_nothing",
            &json!({"name": "edge", "budgets": [
                {"name": "other", "match": {"path": {"prefix": "/other-budget/"}},
                 "ratio": 1000, "window": "1h", "min_retries_per_second": 0, "retry_on": "5xx"},
                {"name": "all", "match": {"path": {"prefix": "/retried/"}},
                 "ratio": 1000, "window": "1h", "min_retries_per_second": 0},
            ]}),
            ambiguous,
        ),
    ]
}

fn no_route(world: &mut dyn World) {
    for _ in 0..10 {
        assert_eq!(world.send(Request::get(NO_ROUTE_PREFIX)).status, 404);
    }
    assert_eq!(counter(world, "deposits"), 0);
    assert_eq!(balance(world), 0);
}

fn network(world: &mut dyn World) {
    let from = |address: [u8; 4]| Request::get("/").from(address);
    assert_eq!(world.send(from([10, 1, 2, 3])).status, 200);
    assert_eq!(counter(world, "deposits"), 0);
    assert_eq!(world.send(from([11, 1, 2, 3])).status, 200);
    assert_eq!(counter(world, "deposits"), 1);
}

fn answered_behind(world: &mut dyn World) {
    for _ in 0..10 {
        assert_eq!(world.send(Request::get("/")).status, 403);
    }
    assert_eq!(counter(world, "deposits"), 0);
    assert_eq!(balance(world), 0);
}

fn reached(world: &mut dyn World) {
    pay(world, 1);
    assert_eq!(counter(world, "deposits"), 1);
    for (number, upstream) in [
        Upstream::Answers(failure()),
        Upstream::Answers(Response::new(404)),
        Upstream::always(Answer::reset()),
        Upstream::Unreachable,
        Upstream::Answers(Response::grpc_trailers_only(14)),
    ]
    .into_iter()
    .enumerate()
    {
        world.upstream(upstream);
        world.send(Request::grpc("/service/method"));
        assert_eq!(counter(world, "deposits"), 2 + number as u64);
    }
    world.upstream(Upstream::Answers(ok().broken_off()));
    let request = world.begin(Request::get("/"));
    world.finish(request);
    assert_eq!(counter(world, "deposits"), 7);

    let late = Answer::from(ok()).after(Duration::from_secs(20));
    world.upstream(Upstream::always(late));
    let request = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);
    assert_eq!(counter(world, "deposits"), 7);
    world.abandon(request);
    assert_eq!(counter(world, "deposits"), 8);
    assert_eq!(balance(world), 8);
}

/// A request under way has not paid yet, not even for itself.
fn when_answered(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    for attempts in [1, 2, 2] {
        world.send(Request::get("/retried/"));
        assert_eq!(world.received().len(), attempts);
    }
    assert_eq!(counter(world, "deposits"), 3);
}

fn ambiguous(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    for _ in 0..4 {
        world.send(Request::get("/retried/a"));
    }
    world.received();
    assert_eq!(counter(world, "deposits"), 4);
    // It belongs to one budget or the other, depending on how the upstream reads `;`, dots and escaped slashes.
    for path in [
        "/other-budget/..;/retried/a",
        "/other-budget/..%2fretried/a",
        "/retried/..;/other-budget/a",
        "/retried/..%5cother-budget/a",
    ] {
        assert_eq!(world.send(Request::get(path)).status, 503, "{path}");
        assert_eq!(world.received().len(), 1, "{path}");
    }
    // In another letter case the path is most likely the same: it is retried, but does not pay.
    assert_eq!(world.send(Request::get("/Other-Budget/a")).status, 503);
    assert_eq!(counter(world, "deposits"), 4);
    assert_eq!(world.send(Request::get("/retried/a")).status, 503);
    assert_eq!(world.received().len(), 1 + 2);
}
