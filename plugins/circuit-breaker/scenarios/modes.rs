//! Shadow mode, and overrides of the state.

use serde_json::json;

use super::{
    breaker, counter, counter_by_reason, failure, gauge, get, plugin, reached, reason, scenario,
};
use crate::{Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "circuit_breaker::in_shadow_it_marks_what_it_would_reject",
            &breaker(json!({"consecutive_failures": 1, "mode": "shadow"})),
            shadow,
        ),
        scenario(
            "circuit_breaker::a_person_can_open_it",
            &breaker(json!({"state": "forced_open"})),
            forced,
        ),
        scenario(
            "circuit_breaker::it_can_only_measure",
            &breaker(json!({"consecutive_failures": 2, "state": "metrics_only"})),
            metrics_only,
        ),
    ]
}

fn shadow(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(reached(world, 3), 3);
    assert_eq!(counter_by_reason(world, "opened", "consecutive"), 1);
    assert_eq!(
        counter_by_reason(world, "shadow_rejected", "circuit_open"),
        2
    );
    assert_eq!(
        counter(world, "failures"),
        1,
        "the others would not have come"
    );
    get(world);
    let mark = world.received()[0].get_header("x-portcullis-shadow");
    assert_eq!(mark.as_deref(), Some("circuit_breaker;all"));
}

fn forced(world: &mut dyn World) {
    assert_eq!(reached(world, 3), 0);
    assert_eq!(reason(&get(world)), "forced_open");
    assert_eq!(gauge(world, "state"), 2);

    let auto = breaker(json!({"consecutive_failures": 1}));
    world.reconfigure(&[plugin(&auto)]);
    assert_eq!(reached(world, 3), 3);
    assert_eq!(gauge(world, "state"), 0);
}

fn metrics_only(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(reached(world, 5), 5);
    assert_eq!(counter_by_reason(world, "exceeded", "consecutive"), 1);
    assert_eq!((counter(world, "failures"), gauge(world, "state")), (5, 0));
}
