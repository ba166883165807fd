//! The plugin without one of the capabilities that Envoy can withhold.

use serde_json::{Value, json};

use crate::capabilities::{Subject, status};
use crate::{Request, Response, Upstream, World};

pub(super) fn subject() -> Subject {
    Subject {
        name: "circuit-breaker",
        config,
        columns: &["first request", "when all others fail"],
        observe,
        errors: &["portcullis.circuit_breaker.policy=.=edge;.;breaker=.=all;.;errors"],
    }
}

const FAILURES: usize = 16;

fn config() -> Value {
    json!({
        "name": "edge",
        "on_error": "deny",
        "breakers": [
            {"name": "all", "key": ["cluster"], "consecutive_failures": 2,
             "open": {"base": "1m", "max": "1m"}},
            {"name": "watched", "mode": "shadow", "key": ["cluster"], "consecutive_failures": 2},
        ],
    })
}

fn observe(world: &mut dyn World) -> Vec<String> {
    let first = status(world.try_send(Request::get("/")).as_ref());
    world.upstream(Upstream::Answers(Response::new(500)));
    let mut last = String::new();
    // Each worker needs a chance to see a stream end.
    for _ in 0..FAILURES {
        last = status(world.try_send(Request::get("/")).as_ref());
        if last == "held" {
            break;
        }
    }
    vec![first, last]
}
