//! The behaviour of this plugin when Envoy withholds one of its capabilities.

use serde_json::{Value, json};

use crate::capabilities::{Subject, status};
use crate::{Request, World};

pub(super) fn subject() -> Subject {
    Subject {
        name: "rate-limit",
        config,
        columns: &["first request", "beyond the limit"],
        observe,
        errors: &["portcullis.rate_limit.policy=.=edge;.;limit=.=all;.;errors"],
    }
}

fn config() -> Value {
    let limit = |name: &str, mode: &str, key: &str| {
        json!({
            "name": name, "mode": mode, "key": [key],
            "rate": {"requests": 2, "per": "1h"}, "burst": 2,
        })
    };
    json!({
        "name": "edge",
        "on_error": "deny",
        "limits": [limit("all", "enforce", "remote_address"), limit("watched", "shadow", "method")],
        "response_headers": ["ratelimit"],
    })
}

fn observe(world: &mut dyn World) -> Vec<String> {
    let mut statuses = (0..6).map(|_| status(world.try_send(Request::get("/")).as_ref()));
    let first = statuses.next().unwrap_or_default();
    let last = statuses.last().unwrap_or_default();
    vec![first, last]
}
