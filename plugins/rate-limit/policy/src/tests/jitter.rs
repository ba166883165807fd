//! Jitter in `Retry-After`.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A limit of one request, which denies for this long.
fn denied(per: &str, jitter: Value) -> (World, Evaluation) {
    let mut config = one_limit(json!({"rate": {"requests": 1, "per": per}}));
    config["reply"] = json!({"retry_after_jitter": jitter});
    config["response_headers"] = json!(["ratelimit"]);
    let mut world = World::new(config);
    world.send(&[]);
    let evaluation = world.send(&[]);
    (world, evaluation)
}

fn header(world: &World, evaluation: &Evaluation, random: u64, name: &str) -> String {
    let reply = world.policy.reply(evaluation, random).unwrap();
    line(&HeaderMap::new(reply.headers), name).unwrap()
}

fn retry_after(per: &str, jitter: Value, random: u64) -> u64 {
    let (world, evaluation) = denied(per, jitter);
    let found = header(&world, &evaluation, random, "retry-after");
    found.parse().unwrap()
}

#[test]
fn it_adds_nothing_to_the_longest_time() {
    for (per, jitter, shortest, longest) in [
        ("60s", json!(null), 60, 60),
        ("60s", json!("10s"), 60, 70),
        ("60s", json!("1500ms"), 60, 62),
        ("60s", json!("1d"), 60, 86_460),
        ("60s", json!(20), 60, 72),
        ("60s", json!(100), 60, 120),
        ("60s", json!(1), 60, 61),
        ("1ms", json!(20), 1, 2),
        ("1500ms", json!("1s"), 2, 3),
        ("365d", json!(100), 31_536_000, 63_072_000),
    ] {
        assert_eq!(
            retry_after(per, jitter.clone(), 0),
            shortest,
            "{per} {jitter}"
        );
        assert_eq!(
            retry_after(per, jitter.clone(), u64::MAX),
            longest,
            "{per} {jitter}"
        );
    }
}

#[test]
fn every_second_is_as_frequent() {
    let (world, evaluation) = denied("60s", json!("3s"));
    let mut seconds = [0; 4];
    for i in 0..64 {
        let found = header(&world, &evaluation, i << 58, "retry-after");
        seconds[found.parse::<usize>().unwrap() - 60] += 1;
    }
    assert_eq!(seconds, [16; 4]);
}

#[test]
fn the_headers_of_the_limit_stay_exact() {
    let (world, evaluation) = denied("60s", json!("10s"));
    let shown = header(&world, &evaluation, u64::MAX, "ratelimit");
    assert_eq!(shown, r#""a";r=0;t=60"#);
}

#[test]
fn other_denials_are_spread_out_too() {
    // The request could not be counted.
    let limit = json!({"limits": [named("a", json!({}))], "on_error": "deny",
        "reply": {"retry_after_jitter": "4s"}});
    let mut world = World::new(limit);
    world.store.updates_left = 0;
    let evaluation = world.send(&[]);
    let found = |random| header(&world, &evaluation, random, "retry-after");
    assert_eq!([found(0), found(u64::MAX)], ["1", "5"]);
    let reply = world.policy.on_error(u64::MAX).unwrap();
    assert_eq!(
        line(&HeaderMap::new(reply.headers), "retry-after").unwrap(),
        "5"
    );
}

#[test]
fn randomness_is_needed_for_jitter_only() {
    let needs = |reply: Value| {
        let mut config = one_limit(json!({}));
        config["reply"] = reply;
        policy(config).needs_random()
    };
    assert!(!needs(json!({})));
    assert!(needs(json!({"retry_after_jitter": 10})));
}

#[test]
fn it_is_a_duration_or_a_percentage() {
    let errors = |jitter: Value| {
        let mut config = one_limit(json!({}));
        config["reply"] = json!({"retry_after_jitter": jitter});
        match config::read::<Config>(config.to_string().as_bytes()) {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        }
    };
    let path = "$.reply.retry_after_jitter";
    for (jitter, found) in [
        (json!(0), "found 0; expected a whole number from 1 to 100"),
        (
            json!(101),
            "found 101; expected a whole number from 1 to 100",
        ),
        (
            json!("0s"),
            "found \"0s\"; expected a duration from \"1s\" to \"1d\", or a whole number of percent from 1 to 100",
        ),
        (
            json!("25h"),
            "found \"25h\"; expected a duration from \"1s\" to \"1d\", or a whole number of percent from 1 to 100",
        ),
        (
            json!("10%"),
            "found \"10%\"; expected a duration from \"1s\" to \"1d\", or a whole number of percent from 1 to 100",
        ),
        (
            json!(0.5),
            "found 0.5; expected a duration from \"1s\" to \"1d\", or a whole number of percent from 1 to 100",
        ),
    ] {
        assert_eq!(errors(jitter), format!("{path}: {found}"));
    }
}

proptest! {
    #[test]
    fn no_client_returns_too_early(
        seconds in 1_u64..100_000,
        jitter in prop_oneof![(1_u64..=100).prop_map(Value::from), (1_u32..=86_400).prop_map(|s| json!(format!("{s}s")))],
        random: u64,
    ) {
        let found = retry_after(&format!("{seconds}s"), jitter.clone(), random);
        let longest = match jitter.as_u64() {
            Some(percent) => (seconds * percent).div_ceil(100),
            None => jitter.as_str().unwrap().trim_end_matches('s').parse().unwrap(),
        };
        prop_assert!((seconds..=seconds + longest).contains(&found), "{found}");
    }
}
