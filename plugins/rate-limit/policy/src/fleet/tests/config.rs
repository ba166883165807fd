//! Valid configurations, and the errors of invalid ones.

use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Config;
use crate::fleet::config::{Fleet, MISSING, OnOutage, Protocol};
use portcullis_core::config::{Document, Errors, HasTables as _};
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::{KeyPart, Request};
use portcullis_core::matcher::Subject;
use portcullis_core::time::Nanos;

fn read(config: &Value) -> Result<Config, Errors> {
    Document::parse(config.to_string().as_bytes()).and_then(Config::read_with_tables)
}

/// The contract's example, with other values in `fleet` and in the service.
fn config(fleet: Value, service: Value) -> Value {
    let mut config = json!({
        "services": {"main": {"cluster": "ratelimit", "domain": "edge"}},
        "limits": [{"name": "per-tenant", "key": [{"header": "x-api-key"}],
            "rate": {"requests": 1000, "per": "1m"},
            "fleet": {"service": "main", "descriptor": ["api_key"]}}]
    });
    let merge = |to: &mut Value, from: Value| {
        for (name, value) in from.as_object().unwrap() {
            to[name] = value.clone();
        }
    };
    merge(&mut config["limits"][0]["fleet"], fleet);
    merge(&mut config["services"]["main"], service);
    config
}

fn fleet_errors(fleet: Value) -> String {
    errors(&config(fleet, json!({}))).replace("$.limits[0].fleet", "$")
}

fn service_errors(service: Value) -> String {
    errors(&config(json!({}), service)).replace("$.services.main", "$")
}

fn errors(config: &Value) -> String {
    read(config).map_or_else(|errors| errors.to_string(), |_| String::new())
}

#[test]
fn the_documented_example_is_valid() {
    let page = include_str!("../../../../../../docs/fleet.md");
    let (_, example) = page.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert_eq!(errors(&serde_json::from_str(example).unwrap()), "");
}

#[test]
fn a_full_configuration_is_valid() {
    let config = config(
        json!({"mode": "lease", "lease": {"max": 100, "share": 10}, "on_outage": "local"}),
        json!({"timeout": "50ms", "protocol": "envoy"}),
    );
    let config = read(&config).unwrap();
    let (name, service) = config.services.iter().next().unwrap();
    assert_eq!(
        (name.as_str(), service.cluster(), service.domain()),
        ("main", "ratelimit", "edge")
    );
    assert_eq!(service.timeout(), Nanos::from_millis(50));
    let fleet = config.limits[0].fleet.as_ref().unwrap();
    let leases = fleet.leases(service, 1000, Nanos::from_secs(60)).unwrap();
    assert_eq!((leases.max, leases.share, leases.holds), (100, 10, false));
}

#[test]
fn a_short_configuration_has_defaults() {
    let config = read(&config(json!({}), json!({}))).unwrap();
    let (_, service) = config.services.iter().next().unwrap();
    assert_eq!(service.protocol(), Protocol::Envoy);
    let fleet = config.limits[0].fleet.as_ref().unwrap();
    assert_eq!(fleet.on_outage(), OnOutage::Local);
    let leases = fleet.leases(service, 20, Nanos::from_secs(60)).unwrap();
    assert_eq!((leases.max, leases.timeout), (20, Nanos::from_millis(50)));
}

#[test]
fn the_mode_each_has_no_leases() {
    let config = read(&config(json!({"mode": "each"}), json!({}))).unwrap();
    let (_, service) = config.services.iter().next().unwrap();
    let fleet = config.limits[0].fleet.as_ref().unwrap();
    assert!(fleet.leases(service, 20, Nanos::SECOND).is_none());
}

#[test]
fn values_are_checked() {
    for (fleet, expected) in [
        (
            json!({"mode": "each", "lease": {"max": 5}}),
            "$.lease: found a lease in the mode \"each\", which takes nothing ahead",
        ),
        (
            json!({"lease": {"max": 0}}),
            "$.lease.max: found 0; expected a whole number from 1 to 1000000",
        ),
        (
            json!({"lease": {"share": 101}}),
            "$.lease.share: found 101; expected a whole number from 1 to 100",
        ),
        (
            json!({"lease": {"max": 1001}}),
            "$: found 1001 in \"lease.max\"; expected at most 1000, the requests of the rate",
        ),
        (
            json!({"descriptor": ["a", "b"]}),
            "$: found 2 names in \"descriptor\"; expected 1, one for each part of the key",
        ),
        (
            json!({"descriptor": [""]}),
            "$.descriptor[0]: found \"\"; expected a non-empty text",
        ),
        (
            json!({"burst": 5}),
            "$.burst: unknown field; allowed: service, descriptor, mode, lease, on_outage",
        ),
        (
            json!({"service": "other"}),
            "$.service: found \"other\"; expected one of \"services\": main",
        ),
    ] {
        assert_eq!(fleet_errors(fleet), expected);
    }
    assert!(fleet_errors(json!({"mode": "some"})).starts_with("$.mode: "));
    assert!(fleet_errors(json!({"on_outage": "some"})).starts_with("$.on_outage: "));
}

#[test]
fn services_are_checked() {
    assert_eq!(
        service_errors(json!({"timeout": "0ms"})),
        "$.timeout: found \"0ms\"; expected a duration from \"1ms\" to \"10s\""
    );
    assert_eq!(
        service_errors(json!({"domain": ""})),
        "$.domain: found \"\"; expected a non-empty text"
    );
    assert!(service_errors(json!({"protocol": "grpc"})).starts_with("$.protocol: "));
    assert_eq!(
        service_errors(json!({"url": "x"})),
        "$.url: unknown field; allowed: cluster, domain, timeout, protocol"
    );
}

#[test]
fn a_service_can_hold_amounts() {
    let config = read(&config(json!({}), json!({"protocol": "reserve"}))).unwrap();
    let (_, service) = config.services.iter().next().unwrap();
    assert_eq!(service.protocol(), Protocol::Reserve);
    let fleet = config.limits[0].fleet.as_ref().unwrap();
    let minute = fleet.leases(service, 1000, Nanos::from_secs(60)).unwrap();
    assert!(minute.holds);
    // Used for ten seconds, and two calls and a late tick more.
    assert_eq!(minute.ttl(), Nanos::from_millis(12_100));
    let short = fleet.leases(service, 1000, Nanos::from_secs(12)).unwrap();
    assert_eq!(short.ttl(), Nanos::from_millis(4_100));
}

#[test]
fn the_limit_must_fit() {
    let with = |name: &str, value: Value| {
        let mut config = config(json!({}), json!({}));
        config["limits"][0][name] = value;
        errors(&config)
    };
    assert!(with("key", json!([])).starts_with("$.limits[0].fleet: found a limit without a key"));
    let rate = |requests: u32, per: &str| json!({"requests": requests, "per": per});
    assert!(with("rate", rate(0, "1m")).starts_with("$.limits[0].fleet: found a rate of 0"));
    assert!(with("rate", rate(5, "1s")).contains("a period below 10s"));
    assert_eq!(with("rate", rate(5, "10s")), "");
}

/// The values of the descriptor's entries for this key.
fn values(
    key: Value,
    headers: &[(&'static str, &'static str)],
    address: &[u8],
    claims: &[u8],
) -> Vec<String> {
    let key: Vec<KeyPart> = serde_json::from_value(key).unwrap();
    let names: Vec<_> = (0..key.len()).map(|i| format!("entry{i}")).collect();
    let fleet = json!({"service": "main", "descriptor": names});
    let fleet: Fleet = serde_json::from_value(fleet).unwrap();
    let entries = headers
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let headers = HeaderMap::new(entries.collect());
    let request = Request {
        subject: &Subject::new(&headers, b"api"),
        remote_address: address,
        claims,
        cluster: b"backend",
    };
    let entries = fleet.entries(&key, &request);
    assert!(
        entries
            .iter()
            .zip(&names)
            .all(|((name, _), expected)| name == expected)
    );
    entries
        .into_iter()
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[test]
fn a_descriptor_has_the_values_that_envoy_sends() {
    let full = json!([{"remote_address": {"v6": 128}}]);
    assert_eq!(
        values(full.clone(), &[], b"192.0.2.1:51000", b""),
        ["192.0.2.1"]
    );
    assert_eq!(
        values(full, &[], b"[2001:db8::1]:51000", b""),
        ["2001:db8::1"]
    );
    let networks = json!([{"remote_address": {"v4": 24}}]);
    assert_eq!(
        values(networks.clone(), &[], b"192.0.2.1:51000", b""),
        ["192.0.2.0/24"]
    );
    assert_eq!(
        values(networks, &[], b"[2001:db8::1]:51000", b""),
        ["2001:db8::/64"]
    );

    let headers = [
        ("x-api-key", " Ab 1 "),
        (":method", "GET"),
        (":path", "/a?q=a%20b"),
    ];
    let key = json!([{"header": "x-api-key"}, "method", {"query": "q"}, "cluster", "route", {"constant": "all"}]);
    assert_eq!(
        values(key, &headers, b"", b""),
        ["Ab 1", "GET", "a b", "backend", "api", "all"]
    );

    let claims = br#"{"sub": "1", "n": 1, "name": "\"x\"", "ok": true}"#;
    let key = json!([{"claim": "sub"}, {"claim": "n"}, {"claim": "name"}, {"claim": "ok"}]);
    assert_eq!(values(key, &[], b"", claims), ["1", "1", "\"x\"", "true"]);
}

#[test]
fn a_part_without_a_value_has_one_for_all() {
    let key = json!([{"header": "x-api-key"}]);
    let twice = [("x-api-key", "a"), ("x-api-key", "b")];
    for headers in [&[][..], &[("x-api-key", "")], &twice] {
        assert_eq!(values(key.clone(), headers, b"", b""), [MISSING]);
    }
    let key = json!(["remote_address", {"claim": "sub"}]);
    assert_eq!(values(key, &[], b"/run/socket", b"{"), [MISSING, MISSING]);
}

#[test]
fn a_long_value_is_sent_as_its_beginning_and_a_hash() {
    let sent = |value: &str| {
        let key: Vec<KeyPart> = serde_json::from_value(json!([{"header": "x-api-key"}])).unwrap();
        let fleet = json!({"service": "main", "descriptor": ["api_key"]});
        let fleet: Fleet = serde_json::from_value(fleet).unwrap();
        let entry = (b"x-api-key"[..].into(), value.as_bytes().to_vec().into());
        let headers = HeaderMap::new(vec![entry]);
        let request = Request {
            subject: &Subject::new(&headers, b""),
            remote_address: b"",
            claims: b"",
            cluster: b"",
        };
        fleet.entries(&key, &request).remove(0).1.into_owned()
    };
    let short = "a".repeat(256);
    assert_eq!(sent(&short), short);
    // Of sha256sum. It is the same in each proxy, whatever its version.
    let long = "a".repeat(257);
    let hash = "e8d95cc2b4bc198c54b40bd214df958afb65f5e73d2c2eafe0593cf5c635c1f0";
    assert_eq!(sent(&long), format!("{}#sha256:{hash}", "a".repeat(192)));
    // Values that differ only at the end.
    let other = format!("{}b", "a".repeat(60_000));
    let another = format!("{}c", "a".repeat(60_000));
    assert_ne!(sent(&other), sent(&another));
    assert_eq!(sent(&other).len(), 264);
    // Nobody can pretend to have the value of another client.
    assert_ne!(sent(&sent(&long)), sent(&long));
    // Characters stay whole.
    for (character, beginning) in [("é", 192), ("€", 192), ("🦀", 192)] {
        for shift in 0..4 {
            let value = "a".repeat(shift) + &character.repeat(200);
            let sent = sent(&value);
            let (start, _) = sent.split_once("#sha256:").unwrap();
            assert!(value.starts_with(start));
            assert!(
                (beginning - 3..=beginning).contains(&start.len()),
                "{start}"
            );
            assert!(sent.len() > 256);
        }
    }
}

#[test]
fn bytes_that_are_no_text_can_be_sent() {
    let key: Vec<KeyPart> = serde_json::from_value(json!([{"header": "x-api-key"}])).unwrap();
    let entry = (b"x-api-key"[..].into(), b"a\xff"[..].into());
    let headers = HeaderMap::new(vec![entry]);
    let request = Request {
        subject: &Subject::new(&headers, b""),
        remote_address: b"",
        claims: b"",
        cluster: b"",
    };
    assert_eq!(key[0].service_value(&request).as_deref(), Some("a\u{fffd}"));
}
