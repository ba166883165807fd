//! Replies to denied requests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{plugin, scenario, statuses};
use crate::{Filter, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    let one = json!([{"name": "one", "rate": {"requests": 1, "per": "1h"}}]);
    let one_of_each = json!([
        {"name": "a/1", "rate": {"requests": 1, "per": "1m"}},
        {"name": "b.2", "rate": {"requests": 1, "per": "1h"}},
        {"name": "wide", "rate": {"requests": 9, "per": "1h"}},
    ]);
    let with_reply = |limits: &Value, reply: Value| json!({"limits": limits, "reply": reply});
    vec![
        scenario(
            "rate_limit::the_reply_is_as_configured",
            with_reply(
                &one,
                json!({"status": 503, "body": "Later!", "headers":
                    {"cache-control": "no-store", "Content-Type": "text/x-later"}}),
            ),
            the_reply_is_as_configured,
        ),
        scenario(
            "rate_limit::denied_clients_return_at_different_times",
            with_reply(&one, json!({"retry_after_jitter": "1m"})),
            denied_clients_return_at_different_times,
        ),
        scenario(
            "rate_limit::a_problem_names_all_limits_that_deny",
            with_reply(&one_of_each, json!({"format": "problem+json"})),
            a_problem_names_all_limits_that_deny,
        ),
        scenario(
            "rate_limit::grpc_gets_a_status_of_its_own",
            with_reply(&one, json!({"format": "problem+json"})),
            grpc_gets_a_status_of_its_own,
        ),
        scenario(
            "rate_limit::headers_of_the_upstream_do_not_become_more_permissive",
            json!({
                "limits": [{"name": "ours", "rate": {"requests": 10, "per": "1h"}}],
                "response_headers": ["ratelimit", "x-ratelimit"],
            }),
            headers_of_the_upstream_do_not_become_more_permissive,
        ),
        Scenario {
            name: "rate_limit::its_replies_have_security_headers",
            filters: vec![
                Filter::Plugin {
                    module: "security_headers",
                    config: "{}".to_owned(),
                },
                plugin(&json!({"limits": &one, "response_headers": ["ratelimit"]})),
            ],
            story: its_replies_have_security_headers,
        },
    ]
}

fn the_reply_is_as_configured(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/"), 1), [200]);
    let denied = world.send(Request::get("/"));
    assert_eq!((denied.status, &denied.body[..]), (503, &b"Later!"[..]));
    for (name, value) in [
        ("content-type", "text/x-later"),
        ("cache-control", "no-store"),
        ("retry-after", "3600"),
    ] {
        assert_eq!(denied.get_header(name).as_deref(), Some(value), "{name}");
    }
}

fn denied_clients_return_at_different_times(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/"), 1), [200]);
    let mut seconds = BTreeSet::new();
    for _ in 0..20 {
        let denied = world.send(Request::get("/"));
        assert_eq!(denied.status, 429);
        let retry_after = denied.get_header("retry-after").expect("a time");
        seconds.insert(retry_after.parse::<u32>().expect("a number"));
    }
    // The story takes some of the hour.
    assert!(seconds.iter().all(|seconds| (3_540..=3_660).contains(seconds)), "{seconds:?}");
    assert!(seconds.len() > 5, "{seconds:?}");
}

fn a_problem_names_all_limits_that_deny(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/"), 1), [200]);
    let denied = world.send(Request::get("/"));
    assert_eq!(denied.status, 429);
    assert_eq!(
        denied.get_header("content-type").as_deref(),
        Some("application/problem+json")
    );
    // The longer wait: no request passes before.
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("3600"));
    let problem: Value = serde_json::from_slice(&denied.body).unwrap_or_default();
    assert_eq!(
        problem,
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota exceeded",
            "status": 429,
            "violated-policies": ["a/1", "b.2"],
        })
    );
}

fn grpc_gets_a_status_of_its_own(world: &mut dyn World) {
    let call = Request::post("/shop.v1.Orders/List").header("content-type", "application/grpc");
    assert_eq!(statuses(world, &call, 1), [200]);
    assert_eq!(world.received().len(), 1);

    let denied = world.send(call);
    assert_eq!(denied.status, 200, "the error is in grpc-status");
    for (name, value) in [
        ("content-type", "application/grpc"),
        // RESOURCE_EXHAUSTED
        ("grpc-status", "8"),
        ("retry-after", "3600"),
    ] {
        assert_eq!(denied.get_header(name).as_deref(), Some(value), "{name}");
    }
    assert!(world.received().is_empty());
}

fn headers_of_the_upstream_do_not_become_more_permissive(world: &mut dyn World) {
    let answer = |remaining: &str| {
        let response = Response::new(200)
            .header("ratelimit-policy", r#""theirs";q=5;w=60"#)
            .header("ratelimit", r#""theirs";r=1;t=9"#)
            .header("x-ratelimit-limit", "5")
            .header("x-ratelimit-remaining", remaining)
            .header("x-ratelimit-reset", "9");
        Upstream::Answers(response)
    };
    let x_ratelimit = |response: &Response| {
        ["limit", "remaining", "reset"].map(|last| {
            let name = format!("x-ratelimit-{last}");
            response.get_header(&name).unwrap_or_default()
        })
    };

    world.upstream(answer("1"));
    let theirs = world.send(Request::get("/"));
    assert_eq!(
        theirs.all("ratelimit-policy").join(", "),
        r#""theirs";q=5;w=60, "ours";q=10;w=3600"#
    );
    assert_eq!(
        theirs.all("ratelimit").join(", "),
        r#""theirs";r=1;t=9, "ours";r=9;t=360"#
    );
    assert_eq!(x_ratelimit(&theirs), ["5", "1", "9"]);

    world.upstream(answer("100"));
    let ours = world.send(Request::get("/"));
    assert_eq!(
        x_ratelimit(&ours),
        [r#"10, 10;w=3600;name="ours""#, "8", "360"]
    );
}

fn its_replies_have_security_headers(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/"), 1), [200]);
    let denied = world.send(Request::get("/"));
    assert_eq!(denied.status, 429);
    for (name, value) in [
        ("retry-after", "3600"),
        ("ratelimit", r#""one";r=0;t=3600"#),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
    ] {
        assert_eq!(denied.get_header(name).as_deref(), Some(value), "{name}");
    }
}
