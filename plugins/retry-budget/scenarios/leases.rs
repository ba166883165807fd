//! Reserved retries return in every case.

use std::time::Duration;

use serde_json::json;

use super::{balance, budget, counter, failure, ok, pay, plugin, scenario};
use crate::{Answer, Cluster, Filter, RELOAD_TIME, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let with = |name, filters, story| Scenario {
        name,
        filters,
        story,
    };
    vec![
        scenario(
            "retry_budget::a_client_that_leaves_gives_back_what_it_did_not_use",
            &two_retries(),
            client_leaves,
        ),
        scenario(
            "retry_budget::a_response_that_goes_on_holds_nothing",
            &two_retries(),
            long_response,
        ),
        scenario(
            "retry_budget::a_response_that_breaks_off_holds_nothing",
            &two_retries(),
            broken_off,
        ),
        with(
            "retry_budget::a_request_that_a_later_filter_answers_uses_nothing",
            vec![plugin(&five_in_reserve()), Filter::DenyAll],
            answered_behind,
        ),
        with(
            "retry_budget::a_request_that_an_earlier_filter_answers_is_not_counted",
            vec![Filter::DenyAll, plugin(&two_retries())],
            answered_before,
        ),
        with(
            "retry_budget::what_a_crashed_vm_held_comes_back_with_time",
            vec![Filter::CrashablePlugin {
                module: "retry_budget",
                config: crash_config().to_string(),
            }],
            crashed,
        ),
        scenario(
            "retry_budget::a_new_configuration_finds_the_old_counts",
            &two_retries(),
            reconfigured,
        ),
    ]
}

fn two_retries() -> serde_json::Value {
    budget(json!({"max_retries": 2, "ratio": 50}))
}

/// A budget with a reserve, so that no request has to pay first.
fn five_in_reserve() -> serde_json::Value {
    budget(json!({"max_retries": 2, "min_retries_per_second": 5}))
}

const LATE: Duration = Duration::from_secs(20);

fn client_leaves(world: &mut dyn World) {
    pay(world, 9);
    world.upstream(Upstream::always(Answer::from(ok()).after(LATE)));
    let request = world.begin(Request::get("/retried/"));
    world.arrivals(Cluster::Upstream, 1);
    assert_eq!(balance(world), 2);
    world.abandon(request);
    assert_eq!(balance(world), 5);

    // A request that had been sent twice when its client left has used one retry.
    world.upstream(Upstream::at_first(
        1,
        failure(),
        Answer::from(ok()).after(LATE),
    ));
    let request = world.begin(Request::get("/retried/"));
    world.arrivals(Cluster::Upstream, 2);
    world.abandon(request);
    assert_eq!(counter(world, "retries_used"), 1);
    // Eleven requests have paid for five and a half retries.
    assert_eq!(balance(world), 4);
}

fn long_response(world: &mut dyn World) {
    pay(world, 9);
    let grpc = Request::grpc("/retried/service");
    world.upstream(Upstream::Answers(Response::grpc(0)));
    assert_eq!(world.send(grpc).status, 200);
    assert_eq!(balance(world), 5);
}

fn broken_off(world: &mut dyn World) {
    pay(world, 9);
    world.upstream(Upstream::Answers(ok().broken_off()));
    let request = world.begin(Request::get("/retried/"));
    assert!(world.finish(request).broken_off);
    assert_eq!(balance(world), 5);
    assert_eq!(counter(world, "retries_used"), 0);
}

fn answered_behind(world: &mut dyn World) {
    for _ in 0..10 {
        assert_eq!(world.send(Request::get("/retried/")).status, 403);
    }
    assert_eq!(balance(world), 5);
    assert_eq!(counter(world, "retries_used"), 0);
}

fn answered_before(world: &mut dyn World) {
    for _ in 0..10 {
        assert_eq!(world.send(Request::get("/retried/")).status, 403);
    }
    assert_eq!(counter(world, "deposits"), 0);
}

/// The window is short, so that the story can wait until it is over. It begins with the first request.
fn crash_config() -> serde_json::Value {
    budget(json!({"max_retries": 10, "ratio": 1000, "window": "3s"}))
}

fn crashed(world: &mut dyn World) {
    world.upstream(Upstream::always(Answer::from(ok()).after(LATE)));
    let held = world.begin(Request::get("/retried/"));
    world.arrivals(Cluster::Upstream, 1);
    assert_eq!(balance(world), 0);
    world.upstream(Upstream::Answers(ok()));
    world.crash("/");
    world.abandon(held);
    world.pass(RELOAD_TIME.max(Duration::from_secs(4)));
    // The reserved retry has left the window, with the deposit that paid for it.
    assert_eq!(world.send(Request::get("/retried/")).status, 200);
    assert_eq!(balance(world), 10);
}

fn reconfigured(world: &mut dyn World) {
    pay(world, 10);
    let mut config = two_retries();
    config["budgets"][0]["ratio"] = json!(200);
    world.reconfigure(&[plugin(&config)]);
    world.send(Request::get("/retried/"));
    // Eleven requests, each of which now pays for two.
    assert_eq!(balance(world), 22);
}
