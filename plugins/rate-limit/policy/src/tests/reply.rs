//! Replies to denied requests.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::reply::Reply;

/// The reply to the last of this many requests.
fn reply_to(config: Value, requests: u32) -> Reply {
    let mut world = World::new(config);
    world.admitted(requests - 1, &[]);
    let evaluation = world.send(&[]);
    world.policy.reply(&evaluation, 0).unwrap()
}

fn replying(reply: Value) -> Value {
    let mut config = one_limit(json!({}));
    config["reply"] = reply;
    config
}

fn header(reply: &Reply, name: &str) -> Option<String> {
    line(&HeaderMap::new(reply.headers.clone()), name)
}

#[test]
fn the_default_is_429_in_plain_text() {
    let reply = reply_to(one_limit(json!({})), 2);
    assert_eq!(reply.status, 429);
    assert_eq!(reply.grpc_status, Some(8));
    assert_eq!(reply.details, "rate_limited{a}");
    assert_eq!(reply.body, "Too many requests\n");
    assert_eq!(reply.headers, [("retry-after".into(), "3600".into())]);
}

#[test]
fn status_body_and_headers_can_be_chosen() {
    let reply = reply_to(
        replying(json!({"status": 503, "body": "<p>Later</p>",
            "headers": {"Content-Type": "text/html", "cache-control": "no-store"}})),
        2,
    );
    assert_eq!(reply.status, 503);
    assert_eq!(reply.body, "<p>Later</p>");
    assert_eq!(header(&reply, "content-type").unwrap(), "text/html");
    assert_eq!(header(&reply, "cache-control").unwrap(), "no-store");
}

#[test]
fn problem_json_names_what_is_violated() {
    let reply = reply_to(
        json!({"reply": {"format": "problem+json"}, "limits": [
            named("daily", json!({"rate": {"requests": 1, "per": "1d"}})),
            named("wide", json!({"rate": {"requests": 100, "per": "1d"}})),
            named("hourly", json!({}))
        ]}),
        2,
    );
    assert_eq!(
        header(&reply, "content-type").unwrap(),
        "application/problem+json"
    );
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota exceeded",
            "status": 429,
            "violated-policies": ["daily", "hourly"]
        })
    );
    // The longest wait applies, whichever limit denied first.
    assert_eq!(header(&reply, "retry-after").unwrap(), "86400");
}

#[test]
fn a_reply_shows_the_limits() {
    let reply = reply_to(
        json!({"response_headers": ["ratelimit", "x-ratelimit"], "limits": [
            named("wide", json!({"rate": {"requests": 10, "per": "10s"}})),
            named("narrow", json!({"rate": {"requests": 2, "per": "1h"}})),
            named("never_asked", json!({"match": {"methods": ["PUT"]}}))
        ]}),
        3,
    );
    // The reservation of the wide limit is rolled back.
    assert_eq!(
        header(&reply, "ratelimit").unwrap(),
        r#""narrow";r=0;t=1800, "wide";r=8;t=1"#
    );
    assert_eq!(header(&reply, "x-ratelimit-remaining").unwrap(), "0");
    assert_eq!(header(&reply, "x-ratelimit-reset").unwrap(), "1800");
    assert_eq!(header(&reply, "retry-after").unwrap(), "1800");
}

/// A limit that denies is tighter than one that does not, and the limit with the longest wait is the tightest.
#[test]
fn the_limit_that_denies_for_longest_leads() {
    let costly = |name: &str, requests: u32, per: &str| {
        json!({"name": name, "rate": {"requests": requests, "per": per},
            "cost": {"header": "x-cost"}})
    };
    let mut world = World::new(json!({"response_headers": ["ratelimit"], "limits": [
        costly("minutes", 10, "10m"),
        costly("hours", 10, "10h"),
        named("least", json!({"rate": {"requests": 5, "per": "5d"}}))
    ]}));
    assert!(world.admits(&[("x-cost", "6")]));
    world.admitted(3, &[("x-cost", "0")]);
    let evaluation = world.send(&[("x-cost", "5")]);
    let reply = world.policy.reply(&evaluation, 0).unwrap();
    assert_eq!(
        header(&reply, "ratelimit").unwrap(),
        r#""hours";r=4;t=3600, "minutes";r=4;t=60, "least";r=1;t=86400"#
    );
}

#[test]
fn permanent_denials_name_the_period_of_the_rate() {
    let rate = json!({"requests": 10, "per": "90s"});
    for (limit, details) in [
        (
            json!({"rate": {"requests": 0, "per": "90s"}}),
            "rate_limited{a}",
        ),
        (
            json!({"rate": rate, "key": [{"header": "a"}], "missing": "deny"}),
            "rate_limited_missing_key{a}",
        ),
    ] {
        let mut config = one_limit(limit);
        config["response_headers"] = json!(["ratelimit"]);
        let reply = reply_to(config, 1);
        assert_eq!(reply.details, details);
        assert_eq!(header(&reply, "retry-after").unwrap(), "90");
        assert_eq!(header(&reply, "ratelimit").unwrap(), r#""a";r=0;t=90"#);
    }
    let mut world = World::new(one_limit(
        json!({"rate": rate, "cost": {"header": "x-cost"}}),
    ));
    let evaluation = world.send(&[("x-cost", "11")]);
    let reply = world.policy.reply(&evaluation, 0).unwrap();
    assert_eq!(reply.details, "rate_limited_cost_too_large{a}");
    assert_eq!(header(&reply, "retry-after").unwrap(), "90");
}

#[test]
fn details_name_the_first_limit_that_is_violated() {
    let named = |name: &str, requests: u32| json!({"name": name, "rate": {"requests": requests, "per": "1h"}});
    let limits = [named("wide", 9), named("per-client", 1), named("all", 1)];
    let reply = reply_to(json!({"limits": limits}), 2);
    assert_eq!(reply.details, "rate_limited{per-client}");
}

/// The client did nothing wrong, so the status is not 429.
#[test]
fn a_request_that_could_not_be_counted_gets_503() {
    for (format, body) in [
        ("text", "Rate limiting unavailable\n"),
        (
            "problem+json",
            r#"{"status":503,"title":"Rate limiting unavailable"}"#,
        ),
    ] {
        let mut config = replying(json!({"format": format}));
        config["on_error"] = json!("deny");
        let mut world = World::new(config);
        world.store.updates_left = 0;
        let evaluation = world.send(&[]);
        let reply = world.policy.reply(&evaluation, 0).unwrap();
        assert_eq!((reply.status, reply.grpc_status), (503, Some(14)));
        assert_eq!(reply.details, "rate_limited_unavailable{a}");
        assert_eq!(reply.body, body);
        assert_eq!(header(&reply, "retry-after").unwrap(), "1");
    }
}

proptest! {
    /// A single client that obeys Retry-After is not denied again. A client that returns more than a second too early
    /// is.
    #[test]
    fn retry_after_is_true(
        limits in prop::collection::vec(
            (
                prop::sample::select(vec!["gcra", "sliding_window", "fixed_window"]),
                1..20_u32,
                1..20_000_u32,
            ),
            1..4,
        ),
        costs in prop::collection::vec((1..4_u32, 0..2_000_000_000_u64), 1..40),
    ) {
        let limits: Vec<_> = limits
            .iter()
            .enumerate()
            .map(|(i, (algorithm, requests, per))| {
                json!({"name": i.to_string(), "algorithm": algorithm,
                    "rate": {"requests": requests, "per": format!("{per}ms")},
                    "cost": {"header": "x-cost", "max": requests}})
            })
            .collect();
        let mut world = World::new(json!({"limits": limits}));
        for (cost, wait) in costs {
            world.advance(Nanos::new(wait));
            let cost = cost.to_string();
            let request = [("x-cost", &*cost)];
            let evaluation = world.send(&request);
            let Some(reply) = world.policy.reply(&evaluation, 0) else {
                continue;
            };
            let seconds: u64 = header(&reply, "retry-after").unwrap().parse().unwrap();
            prop_assert!(seconds >= 1);
            let now = world.now;
            if seconds > 1 {
                world.now = now + Nanos::from_secs(seconds - 1);
                prop_assert!(!world.admits(&request), "not before {seconds}");
            }
            world.now = now + Nanos::from_secs(seconds);
            prop_assert!(world.admits(&request), "after {seconds}");
        }
    }
}
