//! Compares the most expensive known requests with plain ones of the same size.
//!
//! An operator sizes a proxy for plain requests. If one request costs as much as a hundred plain ones, a client needs
//! only a hundredth of the traffic to exhaust the proxy. So each kind of request has a bound: at most [`BOUND`] times the
//! instructions of a plain request of the same size, including Envoy's own work.
//!
//! Both kinds go to the same Envoy, alternately.

use std::fmt::Write as _;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use portcullis_scenarios::tokens::{Algorithm, Issuer, Key, Token, encode};
use serde_json::{Value, json};

use crate::callgrind::Callgrind;
use crate::cpu;
use crate::variants::now;

/// The id for `--only`.
pub(crate) const ID: &str = "hostile";

/// The maximum cost of a request, relative to a plain one of the same size.
const BOUND: f64 = 5.0;

/// Enough to fill caches: V8 has optimised all code before the first request.
const WARM_UP_REQUESTS: usize = 100;
/// Requests of each kind in each round.
const REQUESTS: usize = 50;
const ROUNDS: usize = 2;

/// Large enough to show a cost per byte, and small enough to count in minutes. Envoy's limit for all headers of a request
/// is 60 KiB.
const LARGE: usize = 16 * 1024;

struct Case {
    name: &'static str,
    plugin: &'static str,
    configuration: Value,
    plain: Request,
    hostile: Request,
}

/// Measures and prints each case. The error names the cases that exceed the bound.
pub(crate) fn measure(counts_instructions: bool) -> Result<(), String> {
    if counts_instructions {
        Callgrind::check()?;
    }
    let unit = match counts_instructions {
        true => "thousand instructions per request",
        false => "µs of CPU time per request",
    };
    println!("{unit:52} {:>12} {:>12} {:>8}", "plain", "hostile", "ratio");
    let mut beyond = String::new();
    for case in cases() {
        let [plain, hostile] = match counts_instructions {
            true => case.measure(Some(Callgrind::new())),
            false => case.measure(None),
        };
        let ratio = hostile / plain;
        println!(
            "{:52} {plain:>12.1} {hostile:>12.1} {ratio:>8.2}",
            case.name
        );
        if ratio > BOUND {
            let _ = write!(beyond, "\n  {}: {ratio:.2}", case.name);
        }
    }
    match beyond.is_empty() {
        true => Ok(()),
        false => Err(format!("more than {BOUND} times a plain request:{beyond}")),
    }
}

impl Case {
    /// The cost of a plain request and of a hostile one: thousands of instructions, or microseconds.
    fn measure(&self, mut callgrind: Option<Callgrind>) -> [f64; 2] {
        let plugin = WasmFilter::module(self.plugin, artifacts::module(self.plugin))
            .configuration(&self.configuration.to_string());
        let builder = match &callgrind {
            Some(callgrind) => Envoy::builder().under(callgrind.command()),
            None => Envoy::builder(),
        };
        let envoy = builder
            .concurrency(1)
            .connection_manager(json!({
                "access_log": [],
                "common_http_protocol_options": {"max_headers_count": 200},
            }))
            .route(json!({
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
            }))
            .plugin(&plugin)
            .start();
        let process = envoy.process_id();
        for request in [&self.plain, &self.hostile] {
            self.send(&envoy, request, WARM_UP_REQUESTS);
        }
        if let Some(callgrind) = &callgrind {
            callgrind.begin(process);
        }
        let counts = callgrind.is_some();
        let mut used = || match &mut callgrind {
            // Counted since the last call.
            Some(callgrind) => callgrind.instructions(process) as f64,
            None => cpu::time(process).as_nanos() as f64,
        };
        let mut totals = [0.0; 2];
        for _ in 0..ROUNDS {
            for (total, request) in totals.iter_mut().zip([&self.plain, &self.hostile]) {
                let before = used();
                self.send(&envoy, request, REQUESTS);
                let after = used();
                *total += if counts { after } else { after - before };
            }
        }
        envoy.assert_no_vm_failed();
        totals.map(|total| total / (ROUNDS * REQUESTS) as f64 / 1e3)
    }

    fn send(&self, envoy: &Envoy, request: &Request, count: usize) {
        let request = request.clone();
        let statuses = load::run(envoy.address(PLAIN), 1, count, move |_| request.clone());
        let statuses = statuses.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let bad = statuses.iter().find(|status| **status >= 500);
        assert_eq!(bad, None, "{}: hostile traffic gets no 5xx", self.name);
    }
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        path("a long path of all spellings", LARGE, "/a;b%2f%5c\\//..%2e"),
        path(
            "a path of 2 KiB of all spellings",
            2_000,
            "/a;b%2f%5c\\//..%2e",
        ),
        path(
            "a path with as many readings as there may be",
            110,
            "/a/..;/%2e%2e//b",
        ),
        path("a path of 1 KiB that goes up", 1_000, "/a/.."),
        path("a long path that is encoded twice", LARGE, "/%252e%252e"),
    ];
    cases.extend(values());
    cases.extend(conditions());
    cases.extend(tokens());
    cases
}

/// Twenty rules; the path selects one.
fn path(name: &'static str, size: usize, part: &str) -> Case {
    let rules: Vec<Value> = (0..20)
        .map(|number| {
            json!({
                "name": format!("r{number}"),
                "match": {"path": {"prefix": format!("/service-{number}/")}},
                "require": "none",
            })
        })
        .chain([json!({"name": "rest", "require": "none"})])
        .collect();
    let target = |part: &str| {
        let mut target = part.repeat(size / part.len());
        target.truncate(size);
        Request::get(&target)
    };
    Case {
        name,
        plugin: "jwt_auth",
        // Envoy closes a connection after a 400, which would distort the result.
        configuration: json!({
            "providers": {"corp": provider()}, "rules": rules, "ambiguous": "strictest",
        }),
        plain: target("/segment"),
        hostile: target(part),
    }
}

fn provider() -> Value {
    json!({"issuer": "https://idp.example", "jwks": {"inline": issuer().jwks()}})
}

fn issuer() -> Issuer {
    Issuer::new("https://idp.example", Algorithm::RS256)
}

/// Conditions of many rules on a long value from the client.
fn conditions() -> Vec<Case> {
    let limits = |name, condition: &dyn Fn(usize) -> Value, plain: Request, hostile: Request| {
        let limits: Vec<Value> = (0..20)
            .map(|number| {
                json!({
                    "name": format!("l{number}"),
                    "match": condition(number),
                    "rate": {"requests": 1_000_000_000, "per": "1s"},
                })
            })
            .collect();
        Case {
            name,
            plugin: "rate_limit",
            configuration: json!({"limits": limits}),
            plain,
            hostile,
        }
    };
    let presets = ["strict", "api", "owasp", "helmet"].iter().cycle();
    let rules: Vec<Value> = (0..20)
        .zip(presets)
        .map(|(number, preset)| {
            json!({
                "name": format!("r{number}"),
                "match": {"path": {"prefix": format!("/service-{number}/")}},
                "preset": preset,
                "headers": [{"name": "x-rule", "action": "set", "value": format!("{number}")}],
            })
        })
        .collect();
    vec![
        limits(
            "twenty conditions on a host of many hosts",
            &|number| json!({"hosts": [format!("h{number}.example")]}),
            Request::get("/").header("host", "a".repeat(2_000)),
            Request::get("/").header("host", "1,".repeat(1_000)),
        ),
        limits(
            "twenty expressions for a long header",
            &|number| json!({"headers": [{"name": "x-tier", "regex": format!("(a|b)*gold-{number}")}]}),
            Request::get("/").header("x-other", "ab".repeat(20_000)),
            Request::get("/").header("x-tier", "ab".repeat(20_000)),
        ),
        Case {
            name: "a path that twenty rules for responses possibly fit",
            plugin: "security_headers",
            configuration: json!({"preset": "helmet", "rules": rules}),
            plain: Request::get("/x/abcdef"),
            hostile: Request::get("/x/abc%00"),
        },
    ]
}

/// Values in keys of limits.
fn values() -> Vec<Case> {
    let by = |name, key: Value, plain: Request, hostile: Request| Case {
        name,
        plugin: "rate_limit",
        configuration: json!({"limits": [
            {"name": "all", "key": key, "rate": {"requests": 1_000_000_000, "per": "1s"}},
        ]}),
        plain,
        hostile,
    };
    let header = |name: &str, value: String| Request::get("/").header(name, value);
    let many = |name: &dyn Fn(usize) -> String, value: &str| {
        let fields = 0..90;
        fields.fold(Request::get("/"), |request, i| {
            request.header(name(i).as_str(), value)
        })
    };
    vec![
        by(
            "a long cookie of escapes",
            json!([{"cookie": "session"}]),
            header("cookie", format!("session={}", "a".repeat(LARGE))),
            header(
                "cookie",
                format!("session=\"{}\"", "\\141%61".repeat(LARGE / 7)),
            ),
        ),
        by(
            "thousands of cookies of one name",
            json!([{"cookie": "session"}]),
            header("cookie", format!("session={}", "a".repeat(LARGE))),
            header("cookie", "session=%61;".repeat(LARGE / 12)),
        ),
        by(
            "a long query of encodings",
            json!([{"query": "k"}]),
            Request::get(format!("/?k={}", "a".repeat(LARGE))),
            Request::get(format!("/?k={}", "%2561+".repeat(LARGE / 6))),
        ),
        by(
            "thousands of parameters of one name",
            json!([{"query": "k"}]),
            Request::get(format!("/?k={}", "a".repeat(LARGE))),
            Request::get(format!("/?{}", "%6b=%61;".repeat(LARGE / 8))),
        ),
        by(
            "a long host",
            json!(["host"]),
            Request::get("/").header("host", "a".repeat(LARGE)),
            Request::get("/").header("host", "%61@b,".repeat(LARGE / 6)),
        ),
        by(
            "90 headers of nearly the name",
            json!([{"header": "x-api-key"}]),
            many(&|i| format!("y-api-key-{i:02}"), "0123456789abcdef"),
            many(&|_| "x_api_key".to_owned(), "0123456789abcdef"),
        ),
    ]
}

/// Invalid tokens, compared with a valid one, which is not cached either.
fn tokens() -> Vec<Case> {
    let now = now();
    let good = issuer().token(now).claim("exp", now + 86_400).sign();
    let many_keys: Vec<Key> = (1..=3)
        .map(|number| Key::new(Algorithm::PS256, number))
        .collect();
    let jwks = |keys: &[Key]| {
        let keys = keys.iter().map(|key| {
            let mut key = key.jwk();
            if let Value::Object(members) = &mut key {
                members.remove("alg");
                members.remove("kid");
            }
            key
        });
        json!({"keys": keys.collect::<Vec<_>>()})
    };
    let bearer = |token: &str| Request::get("/").header("authorization", format!("Bearer {token}"));
    let case = |name, jwks: Value, hostile: String| Case {
        name,
        plugin: "jwt_auth",
        configuration: json!({
            "providers": {"corp": {"issuer": "https://idp.example", "jwks": {"inline": jwks}}},
            "rules": [{"name": "all", "require": {"provider": "corp"}}],
            "cache": {"tokens": 0},
        }),
        plain: bearer(&good),
        hostile: bearer(&hostile),
    };
    let forged = |algorithm: Algorithm| {
        let key = Key::new(algorithm, 1);
        let token = Token::new(&key)
            .without_header("kid")
            .claim("iss", "https://idp.example")
            .claim("exp", now + 86_400);
        format!("{}.{}", token.signing_input(), encode([0x5a; 256]))
    };
    let nested = format!(
        "{{\"alg\":\"RS256\",\"a\":{}1{}}}",
        "[".repeat(3_000),
        "]".repeat(3_000)
    );
    vec![
        case(
            "a forged PS256 token without kid, three keys",
            jwks(&many_keys),
            forged(Algorithm::PS256),
        ),
        case(
            "a forged RS256 token without kid, three keys",
            jwks(&many_keys),
            forged(Algorithm::RS256),
        ),
        case(
            "a deeply nested token",
            issuer().jwks(),
            format!("{}.e30.AA", encode(nested)),
        ),
        case(
            "a token of 8 KiB that is none",
            issuer().jwks(),
            "a.".repeat(4_096),
        ),
    ]
}
