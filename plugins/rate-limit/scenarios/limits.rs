//! One limit over time.

use std::time::Duration;

use serde_json::{Value, json};

use super::{counter, counter_by_reason, scenario, statuses};
use crate::{Filter, RELOAD_TIME, Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::a_burst_is_admitted_and_then_429",
            json!({
                "name": "edge",
                "limits": [{"name": "per-client", "key": ["remote_address"],
                    "rate": {"requests": 100, "per": "1h"}, "burst": 3}],
                "response_headers": ["ratelimit", "x-ratelimit"],
            }),
            a_burst_is_admitted_and_then_429,
        ),
        scenario(
            "rate_limit::what_was_used_comes_back_evenly",
            json!({"limits": [{"name": "all", "rate": {"requests": 2, "per": "1200ms"}}]}),
            what_was_used_comes_back_evenly,
        ),
        scenario(
            "rate_limit::a_window_admits_so_many",
            json!({"limits": [
                window("fixed_window", "365d", "/fixed"),
                window("sliding_window", "365d", "/sliding"),
            ]}),
            a_window_admits_so_many,
        ),
        scenario(
            "rate_limit::retry_after_is_enough_with_gcra",
            json!({"limits": [window("gcra", "900ms", "/")]}),
            retry_after_is_enough,
        ),
        scenario(
            "rate_limit::retry_after_is_enough_with_a_fixed_window",
            json!({"limits": [window("fixed_window", "900ms", "/")]}),
            retry_after_is_enough,
        ),
        scenario(
            "rate_limit::retry_after_is_enough_with_a_sliding_window",
            json!({"limits": [window("sliding_window", "900ms", "/")]}),
            retry_after_is_enough,
        ),
        scenario(
            "rate_limit::a_rate_of_zero_denies_everything",
            json!({"limits": [{"name": "closed", "rate": {"requests": 0, "per": "1m"}}]}),
            a_rate_of_zero_denies_everything,
        ),
        Scenario {
            name: "rate_limit::the_counts_survive_the_crash_of_a_vm",
            filters: vec![Filter::CrashablePlugin {
                module: "rate_limit",
                config: json!({"limits": [{"name": "a", "key": [{"header": "x-api-key"}],
                    "missing": "skip", "rate": {"requests": 3, "per": "365d"}}]})
                .to_string(),
            }],
            story: the_counts_survive_the_crash_of_a_vm,
        },
    ]
}

/// A limit of three requests per `per`.
fn window(algorithm: &str, per: &str, prefix: &str) -> Value {
    json!({
        "name": algorithm, "algorithm": algorithm,
        "match": {"path": {"prefix": prefix}},
        "rate": {"requests": 3, "per": per},
    })
}

fn a_burst_is_admitted_and_then_429(world: &mut dyn World) {
    // 100 an hour is one every 36 seconds.
    for left in ["2", "1", "0"] {
        let response = world.send(Request::get("/"));
        let header = |name| response.get_header(name).unwrap_or_default();
        assert_eq!(response.status, 200);
        assert_eq!(
            header("ratelimit-policy"),
            r#""per-client";q=100;w=3600;portcullis-burst=3"#
        );
        assert_eq!(
            header("ratelimit"),
            format!(r#""per-client";r={left};t=36"#)
        );
        assert_eq!(
            header("x-ratelimit-limit"),
            r#"100, 100;w=3600;name="per-client""#
        );
        assert_eq!(header("x-ratelimit-remaining"), left);
        assert_eq!(header("x-ratelimit-reset"), "36");
        assert_eq!(response.get_header("retry-after"), None);
    }
    assert_eq!(world.received().len(), 3);

    let denied = world.send(Request::get("/"));
    let header = |name| denied.get_header(name).unwrap_or_default();
    assert_eq!(denied.status, 429);
    assert_eq!(denied.body, b"Too many requests\n");
    assert_eq!(header("content-type"), "text/plain");
    assert_eq!(header("retry-after"), "36");
    assert_eq!(header("ratelimit"), r#""per-client";r=0;t=36"#);
    assert_eq!(header("x-ratelimit-remaining"), "0");
    assert_eq!(header("x-ratelimit-reset"), "36");
    assert!(world.received().is_empty());

    assert_eq!(counter(world, "per-client", "admitted"), 3);
    // Two of three are less than 80 %.
    assert_eq!(counter(world, "per-client", "near_limit"), 1);
    for (reason, count) in [
        ("rate_limited", 1),
        ("cost_too_large", 0),
        ("missing_key", 0),
        ("unavailable", 0),
    ] {
        assert_eq!(
            counter_by_reason(world, "per-client", reason, "denied"),
            count
        );
    }
    assert_eq!(counter(world, "per-client", "errors"), 0);
}

fn what_was_used_comes_back_evenly(world: &mut dyn World) {
    assert_eq!(statuses(world, &Request::get("/"), 3), [200, 200, 429]);
    world.pass(Duration::from_millis(600));
    // Half the time, half of the burst.
    assert_eq!(statuses(world, &Request::get("/"), 2), [200, 429]);
}

fn a_window_admits_so_many(world: &mut dyn World) {
    for path in ["/fixed", "/sliding"] {
        assert_eq!(
            statuses(world, &Request::get(path), 4),
            [200, 200, 200, 429]
        );
    }
}

fn retry_after_is_enough(world: &mut dyn World) {
    // One window may end in the meantime, but not two.
    let denied = (0..7)
        .map(|_| world.send(Request::get("/")))
        .find(|response| response.status == 429)
        .expect("six of a limit of three are too many");
    let seconds = denied
        .get_header("retry-after")
        .and_then(|seconds| seconds.parse().ok())
        .expect("a number of seconds");
    assert!((1..=2).contains(&seconds), "{seconds}");
    world.pass(Duration::from_secs(seconds));
    assert_eq!(world.send(Request::get("/")).status, 200);
}

fn a_rate_of_zero_denies_everything(world: &mut dyn World) {
    let denied = world.send(Request::get("/"));
    assert_eq!(denied.status, 429);
    assert_eq!(denied.get_header("retry-after").as_deref(), Some("60"));
}

fn the_counts_survive_the_crash_of_a_vm(world: &mut dyn World) {
    let request = Request::get("/").header("x-api-key", "a");
    assert_eq!(statuses(world, &request, 2), [200, 200]);
    // The limit skips this request, which has no key.
    world.crash("/");
    world.pass(RELOAD_TIME);
    // Each worker starts a new VM with its next request.
    statuses(world, &Request::get("/"), 8);
    // One of three remains.
    assert_eq!(statuses(world, &request, 2), [200, 429]);
}
