//! How circuits open and close.

use std::time::Duration;

use serde_json::json;

use super::{
    OPEN, breaker, counter, counter_by_reason, failure, gauge, get, ok, open, plugin, reached,
    reason, retry_after, scenario, sensitive,
};
use crate::{Answer, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::an_outage_from_the_first_failure_to_the_last",
            &breaker(json!({
                "failure_rate": 50, "minimum_requests": 10, "half_open": {"permits": 2}
            })),
            outage,
        ),
        scenario(
            "circuit_breaker::it_stays_open_longer_when_a_probe_fails",
            &sensitive(),
            longer,
        ),
        scenario(
            "circuit_breaker::slow_responses_open_it",
            &breaker(json!({
                "slow": {"threshold": "100ms", "rate": 50}, "minimum_requests": 4
            })),
            slow,
        ),
        scenario(
            "circuit_breaker::an_upstream_can_ask_for_a_longer_pause",
            &sensitive(),
            longer_pause,
        ),
        scenario(
            "circuit_breaker::results_leave_the_window",
            &breaker(json!({
                "failure_rate": 50, "minimum_requests": 4, "window": {"type": "time", "size": "1s"}
            })),
            window,
        ),
        scenario(
            "circuit_breaker::a_new_configuration_finds_circuits_as_they_are",
            &sensitive(),
            reconfigured,
        ),
    ]
}

fn outage(world: &mut dyn World) {
    assert_eq!(reached(world, 5), 5);
    world.upstream(Upstream::Answers(failure()));
    // The tenth result is the fifth failure: half of them.
    assert_eq!(reached(world, 20), 5);
    assert_eq!(counter_by_reason(world, "opened", "rate"), 1);
    assert_eq!(counter_by_reason(world, "rejected", "circuit_open"), 15);
    assert_eq!(counter(world, "failures"), 5);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (2, 1));

    let rejected = get(world);
    assert_eq!(
        (rejected.status, &*reason(&rejected)),
        (503, "circuit_open")
    );
    assert_eq!(rejected.body, b"Service unavailable\n");
    let seconds: u64 = retry_after(&rejected).parse().expect("a number");
    assert!((1..=2).contains(&seconds), "{seconds}");

    world.upstream(Upstream::Answers(ok()));
    world.pass(OPEN);
    assert_eq!(reached(world, 1), 1);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (1, 0));
    assert_eq!(reached(world, 10), 10);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (0, 0));
    assert_eq!(
        (counter(world, "half_opened"), counter(world, "closed")),
        (1, 1)
    );
}

fn longer(world: &mut dyn World) {
    open(world);
    world.pass(OPEN);
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(reached(world, 3), 1);
    assert_eq!(counter_by_reason(world, "opened", "probe"), 1);
    world.upstream(Upstream::Answers(ok()));
    world.pass(OPEN);
    assert_eq!(reached(world, 1), 0, "it is open for twice as long");
    world.pass(OPEN);
    assert_eq!(reached(world, 3), 3);

    // Once closed, the circuit starts with the short time again.
    open(world);
    world.pass(OPEN);
    assert_eq!(reached(world, 1), 1);
}

fn slow(world: &mut dyn World) {
    let late = || Answer::from(ok()).after(Duration::from_millis(250));
    world.upstream(Upstream::at_first(2, late(), ok()));
    assert_eq!(reached(world, 3), 3);
    assert_eq!(get(world).status, 200, "the fourth");
    assert_eq!(counter_by_reason(world, "opened", "slow"), 1);
    assert_eq!(counter(world, "slow"), 2);
    assert_eq!(reason(&get(world)), "circuit_open");
}

fn longer_pause(world: &mut dyn World) {
    let busy = Response::new(503).header("retry-after", "5");
    world.upstream(Upstream::Answers(busy));
    get(world);
    let wait = |world: &mut dyn World| retry_after(&get(world));
    assert_eq!(wait(world), "5");
    world.upstream(Upstream::Answers(ok()));
    world.pass(OPEN);
    assert_eq!(reached(world, 1), 0);
    world.pass(Duration::from_secs(3));
    assert_eq!(reached(world, 1), 1);
}

fn window(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(reached(world, 3), 3);
    world.pass(Duration::from_millis(1_100));
    assert_eq!(reached(world, 3), 3);
    assert_eq!(gauge(world, "state"), 0);
    assert_eq!(reached(world, 3), 1);
    assert_eq!(gauge(world, "state"), 2);
}

fn reconfigured(world: &mut dyn World) {
    open(world);
    let same = breaker(
        json!({"consecutive_failures": 7, "half_open": {"permits": 1},
        "fallback": {"body": "new"}}),
    );
    world.reconfigure(&[plugin(&same)]);
    let rejected = get(world);
    assert_eq!(
        (&*reason(&rejected), &*rejected.body),
        ("circuit_open", &b"new"[..])
    );
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (2, 1));

    // With the route as the key, circuits have another meaning and start closed.
    let other = breaker(json!({"consecutive_failures": 1, "key": ["route"]}));
    world.reconfigure(&[plugin(&other)]);
    assert_eq!(world.send(Request::get("/")).status, 200);
    assert_eq!((gauge(world, "state"), gauge(world, "open_keys")), (0, 0));
}
