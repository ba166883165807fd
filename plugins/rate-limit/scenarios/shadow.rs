//! Limits in shadow mode, and limits that are off.

use serde_json::json;

use super::{counter, counter_by_reason, scenario, statuses};
use crate::{Request, Scenario, World};

const MARK: &str = "x-portcullis-shadow";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::a_limit_in_shadow_marks_and_never_denies",
            json!({
                "name": "edge",
                "limits": [
                    {"name": "trial", "rate": {"requests": 1, "per": "1h"}, "mode": "shadow"},
                    {"name": "earnest", "rate": {"requests": 3, "per": "1h"}},
                ],
                "response_headers": ["ratelimit"],
            }),
            a_limit_in_shadow_marks_and_never_denies,
        ),
        scenario(
            "rate_limit::in_shadow_everything_is_decided_and_nothing_done",
            json!({
                "name": "edge", "mode": "shadow",
                "limits": [
                    {"name": "a", "rate": {"requests": 1, "per": "1h"}},
                    {"name": "b", "key": [{"header": "x-id"}], "missing": "deny",
                        "rate": {"requests": 1, "per": "1h"}},
                ],
                "response_headers": ["ratelimit", "x-ratelimit"],
            }),
            in_shadow_everything_is_decided_and_nothing_done,
        ),
        scenario(
            "rate_limit::off_does_nothing",
            json!({
                "name": "edge",
                "limits": [
                    {"name": "off", "rate": {"requests": 0, "per": "1h"}, "mode": "off"},
                    {"name": "on", "match": {"path": {"exact": "/on"}},
                        "rate": {"requests": 0, "per": "1h"}},
                ],
                "response_headers": ["ratelimit"],
            }),
            off_does_nothing,
        ),
    ]
}

fn a_limit_in_shadow_marks_and_never_denies(world: &mut dyn World) {
    let responses: Vec<_> = (0..4).map(|_| world.send(Request::get("/"))).collect();

    let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    for response in &responses {
        let shown = response.get_header("ratelimit-policy");
        assert_eq!(shown.as_deref(), Some(r#""earnest";q=3;w=3600"#));
        assert_eq!(response.get_header(MARK), None);
    }
    let marks: Vec<_> = world
        .received()
        .iter()
        .map(|request| request.get_header(MARK))
        .collect();
    let mark = Some("rate_limit;trial".to_owned());
    assert_eq!(marks, [None, mark.clone(), mark]);
    assert_eq!(counter(world, "trial", "admitted"), 1);
    // The limit in shadow mode does not see requests that the enforced limit denies.
    assert_eq!(
        counter_by_reason(world, "trial", "rate_limited", "shadow_denied"),
        2
    );
    assert_eq!(
        counter_by_reason(world, "trial", "rate_limited", "denied"),
        0
    );
}

fn in_shadow_everything_is_decided_and_nothing_done(world: &mut dyn World) {
    let with_id = Request::get("/").header("x-id", "1");
    for request in [with_id.clone(), with_id, Request::get("/")] {
        let response = world.send(request);
        assert_eq!(response.status, 200);
        assert_eq!(response.get_header("ratelimit-policy"), None);
        assert_eq!(response.get_header("x-ratelimit-limit"), None);
    }
    let received = world.received();
    let marks: Vec<_> = received.iter().map(|request| request.all(MARK)).collect();
    let both = ["rate_limit;a", "rate_limit;b"];
    assert_eq!(marks, [&[][..], &both, &both]);
    for (limit, reason, count) in [
        ("a", "rate_limited", 2),
        ("b", "rate_limited", 1),
        ("b", "missing_key", 1),
    ] {
        let counted = counter_by_reason(world, limit, reason, "shadow_denied");
        assert_eq!(counted, count, "{limit}, {reason}");
    }
}

fn off_does_nothing(world: &mut dyn World) {
    let response = world.send(Request::get("/"));
    assert_eq!(response.status, 200);
    assert_eq!(response.get_header("ratelimit-policy"), None);
    assert_eq!(counter(world, "off", "admitted"), 0);
    // The other limit is on.
    assert_eq!(statuses(world, &Request::get("/on"), 1), [429]);
}
