//! Budgets in shadow mode.

use serde_json::json;

use super::{budget, counter, counter_by_reason, failure, scenario};
use crate::{Request, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut in_shadow = budget(json!({"max_retries": 2, "inbound_retries": "deny"}));
    in_shadow["mode"] = json!("shadow");
    let mut off = budget(json!({"max_retries": 0}));
    off["budgets"][0]["mode"] = json!("off");
    vec![
        scenario(
            "retry_budget::in_shadow_everything_is_decided_and_nothing_done",
            &in_shadow,
            nothing_done,
        ),
        scenario("retry_budget::off_does_nothing", &off, nothing),
    ]
}

const MARK: &str = "x-portcullis-shadow";

/// The route's own policy still gives each request three retries.
fn nothing_done(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    for _ in 0..11 {
        let response = world.send(Request::get("/retried/"));
        assert_eq!(response.get_header("x-portcullis-retry"), None);
    }
    let received = world.received();
    assert_eq!(received.len(), 44);
    let marks = received.iter().map(|request| request.all(MARK));
    assert!(marks.clone().all(|marks| marks == ["retry_budget;all"]));
    assert_eq!(counter(world, "retries_used"), 2);
    assert_eq!(
        counter_by_reason(world, "shadow_denied", "budget_empty"),
        11
    );
    assert_eq!(counter_by_reason(world, "denied", "budget_empty"), 0);

    let retry = Request::get("/").header("x-envoy-attempt-count", "2");
    assert_eq!(world.send(retry).status, 503);
    let received = world.received();
    assert_eq!(received[0].all(MARK), ["retry_budget;all"]);
    let denied = counter_by_reason(world, "shadow_inbound_denied", "budget_empty");
    assert_eq!(denied, 1);
}

fn nothing(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    world.send(Request::get("/retried/"));
    assert_eq!(world.received().len(), 4);
    assert_eq!(counter(world, "deposits"), 0);
}
