//! The plugin without one of the capabilities that Envoy can withhold.

use serde_json::{Value, json};

use crate::capabilities::{Subject, status};
use crate::{RETRIED_PREFIX, Request, Response, Upstream, World};

pub(super) fn subject() -> Subject {
    Subject {
        name: "retry-budget",
        config,
        columns: &["first request", "failing, budget empty"],
        observe,
        errors: &["portcullis.retry_budget.policy=.=edge;.;budget=.=all;.;errors"],
    }
}

fn config() -> Value {
    json!({
        "name": "edge",
        "on_error": "deny",
        "budgets": [{
            "name": "all", "key": ["cluster"], "ratio": 20, "window": "1h",
            "min_retries_per_second": 0, "max_retries": 2, "retry_on": "5xx",
        }],
    })
}

fn observe(world: &mut dyn World) -> Vec<String> {
    let get = || Request::get(RETRIED_PREFIX);
    let first = status(world.try_send(get()).as_ref());
    world.upstream(Upstream::Answers(Response::new(500)));
    // The deposits are soon used up.
    for _ in 0..5 {
        world.try_send(get());
    }
    world.received();
    let last = status(world.try_send(get()).as_ref());
    let attempts = match world.received().len() {
        0 => "not sent".to_owned(),
        1 => "no retry".to_owned(),
        attempts => format!("**{} retries**", attempts - 1),
    };
    vec![first, format!("{last}, {attempts}")]
}
