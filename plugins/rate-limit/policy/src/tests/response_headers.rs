//! Response headers that show the limits.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// The response to a request that passes.
fn response(config: Value, upstream: &[(&str, &str)]) -> HeaderMap {
    let mut world = World::new(config);
    let mut evaluation = world.send(&[]);
    assert!(!evaluation.is_denied());
    world.respond(&mut evaluation, upstream)
}

fn showing(kinds: Value, limits: Value) -> Value {
    json!({"response_headers": kinds, "limits": limits})
}

fn two_limits() -> Value {
    json!([
        {"name": "wide", "rate": {"requests": 100, "per": "1m"}},
        {"name": "narrow", "rate": {"requests": 5, "per": "1h"}}
    ])
}

#[test]
fn ratelimit_lists_policies_and_what_is_left() {
    let found = response(showing(json!(["ratelimit"]), two_limits()), &[]);
    assert_eq!(
        line(&found, "ratelimit-policy").unwrap(),
        r#""wide";q=100;w=60, "narrow";q=5;w=3600"#
    );
    // The tightest first: 4 of 5 are less than 99 of 100.
    assert_eq!(
        line(&found, "ratelimit").unwrap(),
        r#""narrow";r=4;t=720, "wide";r=99;t=1"#
    );
    assert_eq!(found.changes().count(), 2);
}

#[test]
fn x_ratelimit_is_what_envoy_writes() {
    let found = response(showing(json!(["x-ratelimit"]), two_limits()), &[]);
    assert_eq!(
        line(&found, "x-ratelimit-limit").unwrap(),
        r#"5, 100;w=60;name="wide", 5;w=3600;name="narrow""#
    );
    assert_eq!(line(&found, "x-ratelimit-remaining").unwrap(), "4");
    assert_eq!(line(&found, "x-ratelimit-reset").unwrap(), "720");
    assert_eq!(found.changes().count(), 3);
}

#[test]
fn without_a_limit_or_the_option_there_are_no_headers() {
    let both = json!(["ratelimit", "x-ratelimit"]);
    let unmatched = json!([named("a", json!({"match": {"methods": ["PUT"]}}))]);
    assert!(!response(showing(both.clone(), unmatched), &[]).is_changed());
    assert!(!response(showing(json!([]), two_limits()), &[]).is_changed());
    assert!(policy(showing(both, two_limits())).needs_response());
    assert!(!policy(showing(json!([]), two_limits())).needs_response());
}

fn policy_field(limit: Value) -> String {
    let limits = json!([named("a", limit)]);
    let found = response(showing(json!(["ratelimit"]), limits), &[]);
    line(&found, "ratelimit-policy").unwrap()
}

/// The draft has whole seconds only. The headers never promise more than the limit admits.
#[test]
fn rates_are_shown_in_whole_seconds() {
    let shown = |requests: u32, per: &str| {
        policy_field(json!({"rate": {"requests": requests, "per": per}}))
    };
    assert_eq!(shown(10, "100ms"), r#""a";q=100;w=1"#);
    assert_eq!(shown(7, "1500ms"), r#""a";q=9;w=2"#);
    assert_eq!(
        shown(1_000_000_000, "365d"),
        r#""a";q=1000000000;w=31536000"#
    );
    assert_eq!(shown(1_000_000_000, "1ms"), r#""a";q=1000000000000;w=1"#);
}

#[test]
fn a_burst_is_shown_if_it_differs() {
    let shown =
        |burst: u32| policy_field(json!({"rate": {"requests": 100, "per": "1m"}, "burst": burst}));
    assert_eq!(shown(100), r#""a";q=100;w=60"#);
    assert_eq!(shown(20), r#""a";q=100;w=60;portcullis-burst=20"#);
}

#[test]
fn an_unused_limit_has_no_reset() {
    let limits = json!([named("a", json!({"cost": 0}))]);
    let found = response(showing(json!(["ratelimit", "x-ratelimit"]), limits), &[]);
    assert_eq!(line(&found, "ratelimit").unwrap(), r#""a";r=1"#);
    assert_eq!(line(&found, "x-ratelimit-reset").unwrap(), "0");
}

#[test]
fn a_limit_that_could_not_be_read_is_shown_without_numbers() {
    let mut world = World::new(showing(json!(["ratelimit", "x-ratelimit"]), two_limits()));
    world.store.updates_left = 0;
    let mut evaluation = world.send(&[]);
    let found = world.respond(&mut evaluation, &[]);
    assert!(line(&found, "ratelimit-policy").is_some());
    assert_eq!(line(&found, "ratelimit"), None);
    assert_eq!(line(&found, "x-ratelimit-limit"), None);
}

#[test]
fn the_upstreams_lists_stay() {
    let upstream = [
        ("ratelimit-policy", "\"own\";q=1;w=1"),
        ("ratelimit", "\"own\";r=0;t=1"),
    ];
    let found = response(showing(json!(["ratelimit"]), two_limits()), &upstream);
    assert!(
        line(&found, "ratelimit-policy")
            .unwrap()
            .starts_with("\"own\";q=1;w=1 | \"wide\"")
    );
    assert!(
        line(&found, "ratelimit")
            .unwrap()
            .starts_with("\"own\";r=0;t=1 | \"narrow\"")
    );
}

/// The headers of a response whose upstream sent these.
fn x_remaining(upstream: &[(&str, &str)]) -> String {
    let found = response(showing(json!(["x-ratelimit"]), two_limits()), upstream);
    let names = ["limit", "remaining", "reset"];
    let lines = names.map(|name| line(&found, &format!("x-ratelimit-{name}")));
    lines.map(Option::unwrap_or_default).join("; ")
}

#[test]
fn the_upstreams_numbers_stay_unless_they_are_milder() {
    let ours = r#"5, 100;w=60;name="wide", 5;w=3600;name="narrow"; 4; 720"#;
    let with = |remaining: &str| {
        x_remaining(&[
            ("x-ratelimit-limit", "9"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", "1700000000"),
        ])
    };
    assert_eq!(with("5"), ours);
    assert_eq!(with("99999999999"), ours);
    for theirs in ["4", "0", "-1", "many", ""] {
        assert_eq!(with(theirs), format!("9; {theirs}; 1700000000"));
    }
    assert_eq!(x_remaining(&[("x-ratelimit-limit", "9")]), "9; ; ");
    let twice = [
        ("x-ratelimit-remaining", "9"),
        ("x-ratelimit-remaining", "8"),
    ];
    assert_eq!(x_remaining(&twice), "; 9 | 8; ");
}

/// A member of a structured-field list, parsed strictly: name and parameters.
fn item(text: &str) -> Option<(&str, Vec<(&str, u64)>)> {
    let (name, parameters) = text.strip_prefix('"')?.split_once('"')?;
    let name_is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let mut parameters = parameters.split(';');
    let nothing_before = parameters.next() == Some("");
    let parameters: Option<Vec<_>> = parameters
        .map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            // Integers have at most 15 digits.
            Some((
                key,
                value.parse().ok().filter(|value| *value < 10_u64.pow(15))?,
            ))
        })
        .collect();
    (name_is_plain && nothing_before).then_some((name, parameters?))
}

proptest! {
    /// For any limits and usage, the fields are well-formed and true.
    #[test]
    fn fields_are_well_formed_and_true(
        limits in prop::collection::btree_map(
            "[A-Za-z0-9_./-]{1,64}",
            (1..50_u32, 1..5_000_u32, prop::option::of(1..100_u32)),
            1..4,
        ),
        requests in 1..60_u32,
        wait in 0..3_000_000_000_u64,
    ) {
        let limits: Vec<_> = limits
            .iter()
            .map(|(name, (requests, per, burst))| {
                let rate = json!({"requests": requests, "per": format!("{per}ms")});
                match burst {
                    Some(burst) => json!({"name": name, "rate": rate, "burst": burst}),
                    None => json!({"name": name, "rate": rate}),
                }
            })
            .collect();
        let count = limits.len();
        let mut world = World::new(showing(json!(["ratelimit"]), json!(limits)));
        world.admitted(requests, &[]);
        world.advance(Nanos::new(wait));
        let mut evaluation = world.send(&[]);
        let found = match world.policy.reply(&evaluation, 0) {
            Some(reply) => HeaderMap::new(reply.headers),
            None => world.respond(&mut evaluation, &[]),
        };

        let policies = line(&found, "ratelimit-policy").unwrap();
        let policies: Vec<_> = policies.split(", ").map(|text| item(text).unwrap()).collect();
        prop_assert_eq!(policies.len(), count);
        let left = line(&found, "ratelimit").unwrap();
        let left: Vec<_> = left.split(", ").map(|text| item(text).unwrap()).collect();
        prop_assert_eq!(left.len(), count);

        // The lowest remaining amount is the number of requests admitted at once.
        let (_, tightest) = &left[0];
        prop_assert_eq!(tightest[0].0, "r");
        let least = left.iter().map(|(_, parameters)| parameters[0].1).min().unwrap();
        let now = world.now;
        let admitted = world.admitted(200, &[]);
        prop_assert_eq!(u64::from(admitted), least, "of {:?}", left);
        // After the reset time of the tightest limit, there is more.
        if let Some(("t", seconds)) = tightest.get(1) {
            world.now = now + Nanos::from_secs(*seconds);
            prop_assert!(count > 1 || world.admits(&[]));
        }
    }
}
