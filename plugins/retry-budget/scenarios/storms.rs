//! An upstream that fails, partly or completely.

use serde_json::json;

use super::{balance, budget, counter, counter_by_reason, failure, ok, pay, scenario};
use crate::{Answer, Cluster, OTHER_PREFIX, Request, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "retry_budget::one_request_in_five_is_retried_when_all_fail",
            &budget(json!({"max_retries": 3})),
            one_in_five,
        ),
        scenario(
            "retry_budget::requests_that_come_together_share_the_budget",
            &budget(json!({"max_retries": 3})),
            together,
        ),
        scenario(
            "retry_budget::a_few_failures_are_all_retried",
            &budget(json!({"max_retries": 2})),
            a_few_failures,
        ),
        scenario(
            "retry_budget::an_upstream_that_cannot_be_reached_costs_as_much",
            &budget(json!({"max_retries": 3})),
            unreachable,
        ),
        scenario(
            "retry_budget::each_cluster_has_a_budget_of_its_own",
            &budget(json!({"key": ["cluster"], "retry_on": "5xx"})),
            clusters,
        ),
    ]
}

const RETRIED: &str = "/retried/";

fn one_in_five(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    // The first request finds an empty budget; after that, five requests pay for one retry.
    for _ in 0..41 {
        assert_eq!(world.send(Request::get(RETRIED)).status, 503);
    }
    assert_eq!(world.received().len(), 41 + 8);
    assert_eq!(counter(world, "deposits"), 41);
    assert_eq!(counter(world, "retries_granted"), 8);
    assert_eq!(counter(world, "retries_used"), 8);
    // Every request could have had three retries.
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 41);
    assert_eq!(balance(world), 0);
}

fn together(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    let responses = world.send_together(vec![Request::get(RETRIED); 40]);
    assert!(responses.iter().all(|response| response.status == 503));
    let attempts = world.received().len();
    assert!((40..=40 + 8).contains(&attempts), "{attempts}");
    assert_eq!(counter(world, "retries_used"), attempts as u64 - 40);
}

/// Every tenth request fails when it is first sent, and ten requests buy two retries.
fn a_few_failures(world: &mut dyn World) {
    pay(world, 10);
    world.upstream(Upstream::script(|request| {
        let attempt = request.get_header("x-envoy-attempt-count");
        let fails = request.path.ends_with('9') && attempt.as_deref() == Some("1");
        Answer::from(if fails { failure() } else { ok() })
    }));
    for number in 0..100 {
        let response = world.send(Request::get(&format!("{RETRIED}{number}")));
        assert_eq!(response.status, 200, "{number}");
    }
    assert_eq!(world.received().len(), 100 + 10);
    assert_eq!(counter(world, "retries_used"), 10);
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 0);
    // A hundred and ten requests have paid for twenty-two retries.
    assert_eq!(balance(world), 12);
}

fn unreachable(world: &mut dyn World) {
    world.upstream(Upstream::Unreachable);
    for _ in 0..21 {
        assert_eq!(world.send(Request::get(RETRIED)).status, 503);
    }
    assert_eq!(counter(world, "retries_used"), 4);
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 21);
}

fn clusters(world: &mut dyn World) {
    pay(world, 20);
    for cluster in [Cluster::Upstream, Cluster::Other] {
        world.serve(cluster, Upstream::Answers(failure()));
    }
    world.send(Request::get(OTHER_PREFIX));
    assert_eq!(world.received_by(Cluster::Other).len(), 1);
    world.send(Request::get("/"));
    assert_eq!(world.received().len(), 2);
}
