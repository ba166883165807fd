//! Probes, which find out whether the upstream works again.

use std::time::Duration;

use serde_json::json;

use super::{
    OPEN, breaker, counter, failure, gauge, get, ok, open, reached, reason, retry_after, scenario,
    sensitive, silent,
};
use crate::{Answer, Cluster, Filter, RELOAD_TIME, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let three = breaker(json!({"consecutive_failures": 1, "half_open": {"permits": 3}}));
    vec![
        scenario(
            "circuit_breaker::of_many_that_wait_as_many_pass_as_there_are_permits",
            &three,
            herd,
        ),
        scenario(
            "circuit_breaker::a_probe_whose_client_leaves_makes_room",
            &sensitive(),
            client_leaves,
        ),
        scenario(
            "circuit_breaker::a_client_that_had_waited_for_too_long_says_that_it_is_slow",
            &breaker(json!({
                "consecutive_failures": 1, "half_open": {"permits": 1},
                "slow": {"threshold": "200ms", "rate": 50}
            })),
            slow_client_leaves,
        ),
        scenario(
            "circuit_breaker::a_probe_that_does_not_count_makes_room",
            &breaker(json!({
                "consecutive_failures": 1, "half_open": {"permits": 1, "max_wait": "60s"},
                "failures": {"ignored": [404]}
            })),
            ignored_probes,
        ),
        scenario(
            "circuit_breaker::results_from_before_it_opened_do_not_count",
            &sensitive(),
            late_results,
        ),
        Scenario {
            name: "circuit_breaker::a_probe_that_a_crashed_vm_held_comes_back",
            filters: vec![Filter::CrashablePlugin {
                module: "circuit_breaker",
                config: breaker(json!({
                    "consecutive_failures": 1, "match": {"path": {"prefix": "/guarded"}},
                    "half_open": {"permits": 1, "max_wait": "4s"}
                }))
                .to_string(),
            }],
            story: crashed,
        },
    ]
}

fn ignored_probes(world: &mut dyn World) {
    open(world);
    world.pass(OPEN);
    world.upstream(Upstream::Answers(Response::new(404)));
    assert_eq!(reached(world, 5), 5);
    assert_eq!(gauge(world, "state"), 1);
    world.upstream(Upstream::Answers(ok()));
    get(world);
    assert_eq!(gauge(world, "state"), 0);
}

fn herd(world: &mut dyn World) {
    open(world);
    world.pass(OPEN);
    let late = Answer::from(ok()).after(Duration::from_millis(500));
    world.upstream(Upstream::always(late));
    let responses = world.send_together(vec![Request::get("/"); 24]);
    let passed = responses.iter().filter(|one| one.status == 200).count();
    assert_eq!((passed, world.received().len()), (3, 3));
    let rejected = responses.iter().find(|one| one.status == 503);
    let rejected = rejected.expect("most are rejected");
    assert_eq!(reason(rejected), "half_open");
    assert_eq!(retry_after(rejected), "1");
    assert_eq!(gauge(world, "state"), 0);
}

fn client_leaves(world: &mut dyn World) {
    open(world);
    world.pass(OPEN);
    world.upstream(silent());
    let probe = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);
    assert_eq!(reason(&get(world)), "half_open");
    world.abandon(probe);
    assert_eq!(counter(world, "abandoned"), 1);

    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reached(world, 1), 1);
    assert_eq!(gauge(world, "state"), 0);
}

fn slow_client_leaves(world: &mut dyn World) {
    open(world);
    world.pass(OPEN);
    world.upstream(silent());
    let probe = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);
    world.pass(Duration::from_millis(300));
    world.abandon(probe);
    assert_eq!(gauge(world, "state"), 2);
}

fn late_results(world: &mut dyn World) {
    let late = Answer::from(failure()).after(Duration::from_millis(2_600));
    world.upstream(Upstream::always(late));
    let old = world.begin(Request::get("/"));
    world.arrivals(Cluster::Upstream, 1);
    open(world);
    world.pass(OPEN);
    assert_eq!(reached(world, 1), 1);
    assert_eq!(gauge(world, "state"), 0);
    assert_eq!(world.finish(old).status, 503);
    assert_eq!((gauge(world, "state"), counter(world, "late")), (0, 1));
}

fn crashed(world: &mut dyn World) {
    let guarded = || Request::get("/guarded");
    world.upstream(Upstream::Answers(failure()));
    world.send(guarded());
    world.pass(OPEN);
    world.upstream(silent());
    world.begin(guarded());
    world.arrivals(Cluster::Upstream, 1);
    world.crash("/");
    world.upstream(Upstream::Answers(ok()));
    world.pass(RELOAD_TIME);
    // Each worker reloads its VM with its next request.
    for _ in 0..8 {
        world.send(Request::get("/"));
    }
    assert_eq!(reason(&world.send(guarded())), "half_open");
    world.pass(Duration::from_secs(5) - RELOAD_TIME);
    assert_eq!(world.send(guarded()).status, 200);
    assert_eq!(
        (gauge(world, "state"), counter(world, "leases_expired")),
        (0, 1)
    );
}
