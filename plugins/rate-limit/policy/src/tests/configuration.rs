//! Valid configurations, and the errors of invalid ones.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn the_shipped_example_is_valid() {
    let text = include_bytes!("../../../example.json");
    let policy = RateLimit::new(config::read(text).unwrap());
    assert_eq!(
        policy.to_string(),
        "mode enforce, up to 10 MiB for keys, limits: per-client (100 per 1m), per-token-hourly \
         (5000 per 1h, shadow), exports (10 per 1m)"
    );
}

/// Every field.
#[test]
fn a_full_configuration_is_valid() {
    let found = errors(&json!({
        "name": "edge", "mode": "enforce", "on_error": "allow", "max_keys": 65536,
        "when_full": "forgive",
        "limits": [
            {"name": "per-client", "match": {"path": {"prefix": "/api/"}},
                "key": ["remote_address"], "rate": {"requests": 100, "per": "1m"}, "burst": 20},
            {"name": "per-token-hourly", "key": [{"header": "x-api-key"}, "method"],
                "algorithm": "sliding_window", "rate": {"requests": 5000, "per": "1h"},
                "missing": "share", "mode": "shadow"},
            {"name": "exports", "match": {"path": {"prefix": "/export"}}, "key": [{"claim": "sub"}],
                "rate": {"requests": 10, "per": "1m"},
                "cost": {"header": "x-cost", "default": 1, "max": 10},
                "charge_response": {"header": "x-actual-cost", "max": 100}},
            {"name": "everything", "algorithm": "fixed_window", "cost": 2,
                "key": [{"remote_address": {"v4": 24, "v6": 64}}, "host", "path", "route",
                    {"cookie": "a"}, {"query": "a"}, {"constant": "v1"}],
                "rate": {"requests": 10, "per": "365d"}, "missing": "skip", "mode": "off"}
        ],
        "response_headers": ["ratelimit", "x-ratelimit"],
        "reply": {"status": 429, "body": "Too many requests\n",
            "headers": {"cache-control": "no-store"}, "format": "text"}
    }));
    assert_eq!(found, "");
}

#[test]
fn a_limit_needs_a_name_and_a_rate_and_nothing_else() {
    assert_eq!(limit_errors(json!({})), "");
    assert_eq!(
        errors(&json!({})),
        r#"$: required field "limits" is missing"#
    );
    assert_eq!(
        errors(&json!({"limits": []})),
        "$.limits: found an empty array; expected a limit"
    );
    assert_eq!(
        errors(&json!({"limits": [{"name": "a"}]})),
        r#"$.limits[0]: required field "rate" is missing"#
    );
}

#[test]
fn names_are_unique() {
    let limits = json!([
        named("a", json!({})),
        named("b", json!({})),
        named("a", json!({}))
    ]);
    assert_eq!(
        errors(&json!({"limits": limits})),
        "$.limits: found two limits named \"a\"; expected each name once: names identify limits in \
         metrics, headers and replies"
    );
}

#[test]
fn unknown_fields_are_refused_everywhere() {
    let mut config = one_limit(json!({
        "burts": 1,
        "rate": {"requests": 1, "per": "1s", "burst": 1},
        "cost": {"header": "a", "min": 1},
        "charge_response": {"header": "a", "default": 1},
        "key": [{"remote_address": {"v5": 1}}, {"heder": "a"}]
    }));
    config["limit"] = json!([]);
    config["reply"] = json!({"text": "a"});
    let found = errors(&config);
    for expected in [
        "$.limit: unknown field; allowed: name, mode, on_error, max_keys, when_full, services, \
         limits, response_headers, reply",
        "$.limits[0].burts: unknown field; allowed: name, match, key, rate, burst, algorithm, cost, \
         charge_response, missing, mode, fleet",
        "$.limits[0].rate.burst: unknown field; allowed: requests, per",
        "$.limits[0].cost.min: unknown field; allowed: header, default, max",
        "$.limits[0].charge_response.default: unknown field; allowed: header, trailer, metadata, statuses, max",
        "$.limits[0].key[0].remote_address.v5: unknown field; allowed: v4, v6",
        "$.limits[0].key[1].heder: found \"heder\"; allowed: remote_address, header, cookie, query, \
         claim, constant",
        "$.reply.text: unknown field; allowed: status, body, headers, format, retry_after_jitter",
    ] {
        assert!(
            found.lines().any(|line| line == expected),
            "{expected}\n{found}"
        );
    }
}

#[test]
fn numbers_have_bounds() {
    let rate = |requests: Value, per: &str| {
        limit_errors(json!({"rate": {"requests": requests, "per": per}}))
    };
    assert_eq!(rate(json!(0), "1ms"), "");
    assert_eq!(rate(json!(1_000_000_000), "365d"), "");
    assert_eq!(
        rate(json!(1_000_000_001), "1s"),
        "$.rate.requests: found 1000000001; expected a whole number from 0 to 1000000000"
    );
    assert_eq!(
        rate(json!(-1), "1s"),
        "$.rate.requests: found -1; expected a whole number or {\"claim\": …, \"default\": …, \"max\": …}"
    );
    assert_eq!(
        rate(json!(1), "0s"),
        "$.rate.per: found \"0s\"; expected a duration from \"1ms\" to \"365d\""
    );
    assert_eq!(
        rate(json!(1), "366d"),
        "$.rate.per: found \"366d\"; expected a duration from \"1ms\" to \"365d\""
    );
    for (max_keys, is_valid) in [(0, false), (1, true), (4_194_304, true), (4_194_305, false)] {
        let mut config = one_limit(json!({}));
        config["max_keys"] = json!(max_keys);
        let expected =
            format!("$.max_keys: found {max_keys}; expected a whole number from 1 to 4194304");
        assert_eq!(errors(&config), if is_valid { "" } else { &expected });
    }
}

#[test]
fn a_burst_belongs_to_gcra_and_to_a_rate() {
    assert_eq!(limit_errors(json!({"burst": 1, "algorithm": "gcra"})), "");
    for algorithm in ["sliding_window", "fixed_window"] {
        assert_eq!(
            limit_errors(json!({"burst": 1, "algorithm": algorithm})),
            "$.burst: found a burst; only the algorithm \"gcra\" has one"
        );
    }
    assert_eq!(
        limit_errors(json!({"burst": 0})),
        "$.burst: found 0; expected at least 1 (to deny everything, set \"requests\" to 0)"
    );
    assert_eq!(
        limit_errors(json!({"burst": 1, "rate": {"requests": 0, "per": "1s"}})),
        "$.burst: found 1 with \"requests\": 0, which denies everything"
    );
    assert_eq!(
        limit_errors(json!({"burst": 11, "rate": {"requests": 1, "per": "365d"}})),
        "$.burst: found 11 at 1 per 365d; expected a burst that recovers within ten years"
    );
}

#[test]
fn a_cost_that_never_fits_is_refused() {
    let with = |cost: Value, burst: Value| {
        limit_errors(json!({"cost": cost, "burst": burst, "rate": {"requests": 10, "per": "1s"}}))
    };
    assert_eq!(with(json!(10), json!(null)), "");
    assert_eq!(with(json!(0), json!(null)), "");
    let too_large = |cost: u32, most: u32| {
        format!(
            "$.cost: found {cost}; expected at most {most}, the most that is ever \
             admitted at once"
        )
    };
    assert_eq!(with(json!(11), json!(null)), too_large(11, 10));
    assert_eq!(with(json!(6), json!(5)), too_large(6, 5));
    let header = |default: u32, max: u32| json!({"header": "a", "default": default, "max": max});
    assert_eq!(with(header(6, 100), json!(5)), too_large(6, 5));
    assert_eq!(with(header(5, 100), json!(5)), "");
    assert_eq!(
        with(header(5, 4), json!(5)),
        "$.cost.default: found 5; expected no more than \"max\", which is 4"
    );
    assert_eq!(
        with(json!("1"), json!(5)),
        "$.cost: found \"1\"; expected a whole number or {\"header\": …, \"default\": …, \"max\": …}"
    );
    let never = json!({"cost": 5, "rate": {"requests": 0, "per": "1s"}});
    assert_eq!(limit_errors(never), "", "everything is denied anyway");
}

#[test]
fn parts_of_keys_are_checked() {
    let part = |part: Value| limit_errors(json!({"key": [part]}));
    assert_eq!(
        part(json!("ip")),
        "$.key[0]: found \"ip\"; allowed: remote_address, host, path, method, route, cluster"
    );
    assert_eq!(
        part(json!(7)),
        "$.key[0]: found 7; expected a part of a key, such as \"remote_address\" or {\"header\": \
         \"x-api-key\"}"
    );
    let one_member = "expected an object with exactly one of: remote_address, header, cookie, \
                      query, claim, constant";
    assert_eq!(part(json!({})), format!("$.key[0]: {one_member}"));
    assert_eq!(
        part(json!({"header": "a", "cookie": "b"})),
        format!("$.key[0]: found several members; {one_member}")
    );
    assert_eq!(
        part(json!({"header": "x key"})),
        "$.key[0].header: found \"x key\"; expected the name of a header"
    );
    assert_eq!(
        part(json!({"header": "Host"})),
        "$.key[0].header: found \"Host\"; expected another header: plugins do not see this one; \
         use \"hosts\" of a match, or \"host\" of a key"
    );
    for kind in ["cookie", "query", "claim", "constant"] {
        assert_eq!(
            part(json!({kind: ""})),
            format!("$.key[0].{kind}: found \"\"; expected a non-empty text")
        );
    }
    assert_eq!(
        part(json!({"remote_address": {"v4": 33, "v6": 0}})),
        "$.key[0].remote_address.v4: found 33; expected a whole number from 1 to 32\n\
         $.key[0].remote_address.v6: found 0; expected a whole number from 1 to 128"
    );
}

#[test]
fn response_headers_are_checked() {
    let headers = |headers: Value| {
        let mut config = one_limit(json!({}));
        config["response_headers"] = headers;
        errors(&config)
    };
    assert_eq!(
        headers(json!(["ratelimit", "x-ratelimit", "ratelimit"])),
        "$.response_headers: found a value twice; expected each once"
    );
    assert_eq!(
        headers(json!(["retry-after"])),
        "$.response_headers[0]: found \"retry-after\"; allowed: ratelimit, x-ratelimit"
    );
}

#[test]
fn replies_are_checked() {
    let reply = |reply: Value| {
        let mut config = one_limit(json!({}));
        config["reply"] = reply;
        errors(&config)
    };
    for status in [399, 600, 200] {
        assert_eq!(
            reply(json!({"status": status})),
            format!("$.reply.status: found {status}; expected a status from 400 to 599")
        );
    }
    assert_eq!(
        reply(json!({"format": "json"})),
        "$.reply.format: found \"json\"; allowed: text, problem+json"
    );
    assert_eq!(
        reply(json!({"format": "problem+json", "body": "a"})),
        "$.reply.body: found a body with \"format\": \"problem+json\", which has its own"
    );
    assert_eq!(
        reply(json!({"format": "problem+json", "headers": {"content-type": "a"}})),
        "$.reply.headers: found \"content-type\" with \"format\": \"problem+json\", which has its own"
    );
    for name in [
        "Retry-After",
        "content-length",
        "X-RateLimit-Policy",
        "X-Portcullis-Shadow",
        "ratelimit",
    ] {
        assert_eq!(
            reply(json!({"headers": {name: "a"}})),
            format!(
                "$.reply.headers.{name}: found {name:?}; expected another header: Envoy or \
                 Portcullis writes this one"
            )
        );
    }
    assert_eq!(
        reply(json!({"headers": {"x-a": "1\r\nx-b: 2"}})),
        "$.reply.headers.x-a: found \"1\\r\\nx-b: 2\"; expected the value of a header: visible \
         ASCII, with spaces and tabs only between them"
    );
    assert_eq!(
        reply(json!({"headers": {"x-a": "1", "X-A": "2"}})),
        "$.reply.headers: found \"x-a\" twice; expected each header once: names are case-insensitive"
    );
}

fn many(limits: usize, max_keys: u32, key: &Value) -> String {
    let limit = |n| {
        json!({"name": format!("l{n}"), "key": key, "algorithm": "sliding_window",
            "rate": {"requests": 10, "per": "1m"}})
    };
    let limits: Vec<Value> = (0..limits).map(limit).collect();
    errors(&json!({"max_keys": max_keys, "limits": limits}))
}

#[test]
fn the_memory_of_all_tables_has_a_bound() {
    let by_client = json!(["remote_address"]);
    assert_eq!(many(300, 65_536, &by_client), "");
    assert_eq!(
        many(3_000, 65_536, &by_client),
        "$.max_keys: found 65536 for each of 3000 tables, which take up to 11.8 GiB of memory; \
         expected at most 4 GiB for all of them: lower max_keys, or have fewer rules with a key"
    );
    assert_eq!(many(3_000, 16_384, &by_client), "");
    // One key is one block.
    assert_eq!(many(3_000, 4_194_304, &json!([])), "");
}
