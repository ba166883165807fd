//! Numbers of requests that come from the request: from a claim or a header.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const ALGORITHMS: [&str; 3] = ["gcra", "sliding_window", "fixed_window"];
const MINUTE: Nanos = Nanos::from_secs(60);

fn by_plan(algorithm: &str) -> World {
    let requests = json!({"claim": "plan.rpm", "default": 6, "max": 600});
    World::new(one_limit(json!({
        "algorithm": algorithm, "rate": {"requests": requests, "per": "1m"},
    })))
}

impl World {
    /// How many of this many requests pass, with this number in the claim.
    fn admitted_with(&mut self, number: u32, requests: u32) -> u32 {
        let claims = json!({"plan": {"rpm": number}}).to_string();
        let admitted = (0..requests).filter(|_| !self.send_with_claims(&[], &claims).is_denied());
        u32::try_from(admitted.count()).unwrap()
    }
}

/// The capacity of a limit for a request with these claims.
fn capacity(claims: &str) -> u32 {
    let evaluation = by_plan("gcra").send_with_claims(&[], claims);
    evaluation.checks()[0].quota.unwrap().capacity
}

#[test]
fn each_request_has_the_limit_of_its_claim() {
    for algorithm in ALGORITHMS {
        let mut world = by_plan(algorithm);
        assert_eq!(world.admitted_with(10, 20), 10, "{algorithm}");
        world.advance(MINUTE * 2);
        assert_eq!(world.admitted_with(3, 20), 3, "{algorithm}");
    }
}

#[test]
fn a_claim_is_a_whole_number_or_the_default_counts() {
    for (claims, expected) in [
        (r#"{"plan": {"rpm": 10}}"#, 10),
        (r#"{"plan": {"rpm": 10.0}}"#, 10),
        (r#"{"plan": {"rpm": 1e1}}"#, 10),
        (r#"{"plan": {"rpm": "10"}}"#, 10),
        (r#"{"plan.rpm": 10, "plan": {"rpm": 11}}"#, 10),
        (r#"{"plan": {"rpm": 600}}"#, 600),
        (r#"{"plan": {"rpm": 601}}"#, 600),
        (r#"{"plan": {"rpm": 99999999999999999999999}}"#, 600),
        (r#"{"plan": {"rpm": 1e300}}"#, 600),
        (r#"{"plan": {"rpm": "99999999999"}}"#, 600),
        (r#"{"plan": {"rpm": 10.5}}"#, 6),
        (r#"{"plan": {"rpm": -10}}"#, 6),
        (r#"{"plan": {"rpm": -1e300}}"#, 6),
        (r#"{"plan": {"rpm": "+10"}}"#, 6),
        (r#"{"plan": {"rpm": "10.0"}}"#, 6),
        (r#"{"plan": {"rpm": ""}}"#, 6),
        (r#"{"plan": {"rpm": true}}"#, 6),
        (r#"{"plan": {"rpm": null}}"#, 6),
        (r#"{"plan": {"rpm": [10]}}"#, 6),
        (r#"{"plan": 10}"#, 6),
        (r#"{"plan": {"rpm": 10}"#, 6),
        ("", 6),
    ] {
        assert_eq!(capacity(claims), expected, "{claims}");
    }
}

#[test]
fn a_number_of_0_denies() {
    for algorithm in ALGORITHMS {
        for zero in [r#"{"plan": {"rpm": 0}}"#, r#"{"plan": {"rpm": -0.0}}"#] {
            let mut world = by_plan(algorithm);
            let denied = world.send_with_claims(&[], zero);
            assert_eq!(decisions(&denied), [Decision::Denied(Reason::RateLimited)]);
            let reply = world.policy.reply(&denied, 0).unwrap();
            assert_eq!(reply.headers, [("retry-after".into(), "60".into())]);
        }
    }
}

#[test]
fn of_several_lines_of_a_header_the_smallest_counts() {
    let requests = json!({"header": "X-Plan-Rpm", "default": 6, "max": 600});
    let config = one_limit(json!({"rate": {"requests": requests, "per": "1m"}}));
    for (lines, expected) in [
        (&[][..], 6),
        (&["10"][..], 10),
        (&[" 10\t"], 10),
        (&["10", "20", "15"], 10),
        (&["20", "10"], 10),
        (&["1000000"], 600),
        (&["1000000", "1000000"], 600),
        // A line without a number stands for the default.
        (&["20", "many"], 6),
        (&["many", "3"], 3),
        (&["10, 20"], 6),
        (&["-1"], 6),
        (&[""], 6),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("x-plan-rpm", *line)).collect();
        let evaluation = World::new(config.clone()).send(&headers);
        let quota = evaluation.checks()[0].quota.unwrap();
        assert_eq!(quota.capacity, expected, "{lines:?}");
    }
    // The policy itself reads the header, so another spelling of its name means nothing.
    let other = World::new(config).send(&[("x_plan_rpm", "1"), ("x-plan-rpm", "10")]);
    assert_eq!(other.checks()[0].quota.unwrap().capacity, 10);
}

/// GCRA stores the time that the usage takes to recover. That is a share of the period, whatever the number.
#[test]
fn with_gcra_a_change_keeps_the_share_that_is_used() {
    // Half of 60 is used.
    let mut world = by_plan("gcra");
    assert_eq!(world.admitted_with(60, 30), 30);
    assert_eq!(world.admitted_with(600, 600), 300, "half of 600 remains");
    world.advance(Nanos::from_secs(1));
    assert_eq!(
        world.admitted_with(600, 600),
        10,
        "it recovers at the new rate"
    );

    let mut world = by_plan("gcra");
    assert_eq!(world.admitted_with(600, 300), 300);
    assert_eq!(world.admitted_with(60, 600), 30, "half of 60 remains");

    // Nothing used is nothing used, and a used burst is used.
    let mut world = by_plan("gcra");
    assert_eq!(world.admitted_with(60, 60), 60);
    assert_eq!(world.admitted_with(600, 1), 0);
    world.advance(MINUTE);
    assert_eq!(world.admitted_with(600, 601), 600);
}

#[test]
fn with_windows_a_change_keeps_the_count() {
    for algorithm in ["sliding_window", "fixed_window"] {
        let mut world = by_plan(algorithm);
        assert_eq!(world.admitted_with(60, 100), 60, "{algorithm}");
        assert_eq!(world.admitted_with(600, 1000), 540, "{algorithm}");
        assert_eq!(world.admitted_with(60, 1), 0, "{algorithm}");
    }
    let mut world = by_plan("sliding_window");
    assert_eq!(world.admitted_with(600, 600), 600);
    let claims = r#"{"plan": {"rpm": 60}}"#;
    let denied = world.send_with_claims(&[], claims);
    // 59 of the 600 may count when this window has ended.
    world.advance(denied.checks()[0].wait - Nanos::new(1));
    assert!(world.send_with_claims(&[], claims).is_denied());
    world.advance(Nanos::new(1));
    assert!(!world.send_with_claims(&[], claims).is_denied());
}

#[test]
fn a_refund_and_a_charge_have_the_rate_of_their_request() {
    for algorithm in ALGORITHMS {
        let requests = json!({"header": "x-rpm", "default": 10, "max": 600});
        let mut world = World::new(one_limit(json!({
            "algorithm": algorithm, "rate": {"requests": requests, "per": "1m"}, "cost": 2,
            "charge_response": {"header": "x-actual-cost"},
        })));
        let mut evaluation = world.send(&[("x-rpm", "60")]);
        // Another request of the same key, at another rate.
        let mut other = world.send(&[("x-rpm", "600")]);
        world.respond(&mut evaluation, &[("x-actual-cost", "0")]);
        world.respond(&mut other, &[("x-actual-cost", "6")]);
        let now = world.send(&[("x-rpm", "600")]);
        // 6 of the other, and 2 of this one.
        assert_eq!(now.checks()[0].quota.unwrap().remaining, 592, "{algorithm}");
    }
}

#[test]
fn a_roll_back_has_the_rate_of_its_request() {
    for algorithm in ALGORITHMS {
        let requests = json!({"header": "x-rpm", "default": 10, "max": 600});
        let mut world = World::new(json!({"limits": [
            named("plan", json!({"algorithm": algorithm, "rate": {"requests": requests, "per": "1m"}})),
            named("one", json!({})),
        ]}));
        assert!(world.admits(&[("x-rpm", "60")]));
        for rpm in ["1", "60", "600"] {
            let before = world.store.contents();
            assert!(!world.admits(&[("x-rpm", rpm)]));
            assert_eq!(world.store.contents(), before, "{algorithm} {rpm}");
        }
    }
}

#[test]
fn headers_and_replies_show_the_number_of_the_request() {
    let requests = json!({"header": "x-rpm", "default": 10, "max": 600});
    let mut world = World::new(json!({
        "limits": [
            named("plan", json!({"rate": {"requests": requests, "per": "1m"}})),
            named("all", json!({"rate": {"requests": 1000, "per": "1m"}, "burst": 20})),
        ],
        "response_headers": ["ratelimit", "x-ratelimit"],
    }));
    for (rpm, policy, left, limit) in [
        (
            "4",
            r#""plan";q=4;w=60, "all";q=1000;w=60;portcullis-burst=20"#,
            r#""plan";r=3;t=15, "all";r=19;t=1"#,
            r#"4, 4;w=60;name="plan", 1000;w=60;name="all""#,
        ),
        (
            "600",
            r#""plan";q=600;w=60, "all";q=1000;w=60;portcullis-burst=20"#,
            r#""plan";r=449;t=1, "all";r=18;t=1"#,
            r#"600, 600;w=60;name="plan", 1000;w=60;name="all""#,
        ),
    ] {
        let mut evaluation = world.send(&[("x-rpm", rpm)]);
        let response = world.respond(&mut evaluation, &[]);
        assert_eq!(line(&response, "ratelimit-policy").unwrap(), policy);
        assert_eq!(line(&response, "ratelimit").unwrap(), left);
        assert_eq!(line(&response, "x-ratelimit-limit").unwrap(), limit);
    }
    let denied = world.send(&[("x-rpm", "0")]);
    let reply = world.policy.reply(&denied, 0).unwrap();
    let shown = |name: &str| {
        let mut found = reply.headers.iter().filter(|(own, _)| own == name);
        text(&found.next().unwrap().1)
    };
    assert_eq!(
        shown("ratelimit-policy"),
        r#""plan";q=0;w=60, "all";q=1000;w=60;portcullis-burst=20"#
    );
    assert!(shown("ratelimit").starts_with(r#""plan";r=0;t=60, "#));
}

#[test]
fn only_the_place_and_the_period_identify_the_table() {
    let identity = |requests: Value, per: &str| {
        let policy = policy(one_limit(
            json!({"rate": {"requests": requests, "per": per}}),
        ));
        policy.tables().next().unwrap().identity
    };
    let claim = |default: u32, max: u32| json!({"claim": "rpm", "default": default, "max": max});
    let own = identity(claim(6, 60), "1m");
    assert_eq!(identity(claim(7, 600), "1m"), own);
    assert_ne!(identity(claim(6, 60), "1h"), own);
    assert_ne!(identity(json!(60), "1m"), own);
    let header = json!({"header": "rpm", "default": 6, "max": 60});
    assert_ne!(identity(header, "1m"), own);
}

#[test]
fn only_the_part_with_the_number_is_needed() {
    let needs = |requests: Value| {
        let limit = json!({"rate": {"requests": requests, "per": "1m"}});
        policy(one_limit(limit)).needs()
    };
    let claim = needs(json!({"claim": "rpm", "default": 6, "max": 60}));
    assert_eq!((claim.claims, claim.headers), (true, false));
    let header = needs(json!({"header": "rpm", "default": 6, "max": 60}));
    assert_eq!((header.claims, header.headers), (false, true));
}

#[test]
fn a_number_of_requests_has_one_place_a_default_and_a_maximum() {
    let found = |requests: Value, per: &str| {
        limit_errors(json!({"rate": {"requests": requests, "per": per}}))
    };
    let claim = json!({"claim": "plan.rpm", "default": 60, "max": 10000});
    assert_eq!(found(claim.clone(), "1m"), "");
    let blocked = json!({"header": "X-Plan-Rpm", "default": 0, "max": 1});
    assert_eq!(found(blocked, "1m"), "");
    for (member, value, error) in [
        (
            "header",
            json!("x-rpm"),
            "$.rate.requests: found claim, header; expected exactly one of: claim, header",
        ),
        (
            "claim",
            json!(null),
            "$.rate.requests: found none; expected exactly one of: claim, header",
        ),
        (
            "default",
            json!(10001),
            "$.rate.requests.default: found 10001; expected no more than \"max\", which is 10000",
        ),
        (
            "max",
            json!(0),
            "$.rate.requests.max: found 0; expected at least 1 (to deny everything, set \"requests\" to 0)",
        ),
        (
            "min",
            json!(0),
            "$.rate.requests.min: unknown field; allowed: claim, header, default, max",
        ),
    ] {
        let mut bad = claim.clone();
        bad[member] = value;
        assert_eq!(found(bad, "1m"), error);
    }
    assert_eq!(
        found(json!({"claim": "rpm", "default": 1}), "1m"),
        "$.rate.requests: required field \"max\" is missing"
    );
    assert_eq!(
        found(json!("100"), "1m"),
        "$.rate.requests: found \"100\"; expected a whole number or {\"claim\": …, \"default\": …, \"max\": …}"
    );
    assert_eq!(
        found(claim, "9ms"),
        "$.rate.requests: found a \"max\" of 10000; expected at most 9000, one request in a microsecond"
    );
}

#[test]
fn a_number_of_each_request_excludes_a_burst_and_bounds_the_cost() {
    let rate = json!({"requests": {"claim": "rpm", "default": 5, "max": 50}, "per": "1m"});
    assert_eq!(
        limit_errors(json!({"rate": rate, "burst": 5})),
        "$.burst: found 5; only a constant number of \"requests\" has a burst of its own"
    );
    assert_eq!(limit_errors(json!({"rate": rate, "cost": 50})), "");
    assert_eq!(
        limit_errors(json!({"rate": rate, "cost": 51})),
        "$.cost: found 51; expected at most 50, the most that is ever admitted at once"
    );
    let policy = policy(one_limit(json!({"rate": rate})));
    assert!(
        policy
            .to_string()
            .ends_with("a (claim \"rpm\" (default 5, at most 50) per 1m)"),
        "{policy}"
    );
}

proptest! {
    /// However requests of one key change their number, with GCRA the shares that they use add up to one burst and
    /// what recovers.
    #[test]
    fn changes_of_the_number_gain_nothing(
        steps in prop::collection::vec((1_u32..=600, 0_u64..2_000), 1..200),
    ) {
        let mut world = by_plan("gcra");
        let mut used = 0.0;
        for (number, millis) in steps {
            world.advance(Nanos::from_millis(millis));
            if world.admitted_with(number, 1) == 1 {
                used += 1.0 / f64::from(number);
            }
        }
        let minutes = (world.now - START).get() as f64 / MINUTE.get() as f64;
        prop_assert!(used <= (1.0 + minutes) * 1.001, "{used} of {}", 1.0 + minutes);
    }
}
