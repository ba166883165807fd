//! Measures what a limit of a fleet costs its clients, and the service: latency, admitted requests, and calls.
//!
//! Several proxies stand before one backend, an Envoy that answers directly, and share a rate-limit service that takes 5 ms
//! for each call. In a visit to a variant, requests with a new key come at a moderate rate, half more than its limit
//! admits. All variants run at the same time, and the load visits them in turn, round after round, so that latencies of
//! one run can be compared.

mod table;
mod variants;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::fleet::{Fleet, window_at};
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::open_load::{self, Outcome};
use portcullis_ratelimit_service::Fault;
use serde_json::json;

use crate::options::Options;
use crate::subject::KEY;
use table::{Row, Visit};
use variants::ENTRY;

/// Of a key in a minute.
const LIMIT: usize = 1_000;
/// In a visit.
const REQUESTS: usize = 1_500;
/// Requests per second, to all proxies together: a fraction of what two cores can do.
const RATE: u32 = 500;
/// The time that the service takes.
const DELAY: Duration = Duration::from_millis(5);
const PROXIES: [usize; 2] = [2, 4];
/// Of the service, in seconds.
const WINDOW: u64 = 60;
/// A visit takes three seconds.
const VISIT: Duration = Duration::from_secs(5);
/// At the beginning of a window, leases do not last (docs/fleet.md), which matters for a second of each minute. A visit would
/// meet it never or for a third of its time.
const BEGINNING: Duration = Duration::from_secs(2);
/// For each proxy, so that V8 optimises the code.
const WARM_UP_KEYS: usize = 10;
const WARM_UP_REQUESTS: usize = 3_000;
const WARM_UP_CONNECTIONS: usize = 16;

/// Measures and prints. An error says why this machine cannot.
pub(crate) fn measure(options: &Options) -> Result<(), String> {
    for proxies in PROXIES {
        let rows = measure_fleet(proxies, options)?;
        table::print(proxies, &rows);
    }
    Ok(())
}

fn measure_fleet(proxies: usize, options: &Options) -> Result<Vec<Row>, String> {
    let variants = variants::all(options.library);
    let backend = Envoy::builder()
        .connection_manager(json!({"access_log": []}))
        .route(json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
        }))
        .start();
    let limits = json!({
        "domain": "edge",
        "descriptors": [
            {"key": ENTRY, "rate_limit": {"unit": "minute", "requests_per_unit": LIMIT}},
        ],
    });
    // The proxies of a variant stand next to each other.
    let fleet = Fleet::start(proxies * variants.len(), &limits.to_string(), |number| {
        let variant = variants.get(number / proxies);
        variant.expect("a variant").builder(backend.address(PLAIN))
    });
    let fleet = fleet.ok_or("a limit of a fleet needs a Redis")?;
    for (number, envoy) in fleet.envoys().iter().enumerate() {
        warm_up(number, envoy.address(PLAIN))?;
    }
    fleet.service().fail(Fault::Delay(DELAY));
    let mut rows: Vec<Row> = variants.iter().map(Row::new).collect();
    for round in 1..=options.rounds() {
        eprintln!("{proxies} proxies, round {round} of {}", options.rounds());
        let variants = fleet.envoys().chunks(proxies);
        for (number, (envoys, row)) in variants.zip(&mut rows).enumerate() {
            wait_for_a_window();
            let before = (fleet.service().calls(), waited(envoys));
            let outcomes = visit(envoys, &format!("{number}-{round}"))?;
            let calls = fleet.service().calls() - before.0;
            row.add(Visit::new(
                &outcomes,
                proxies,
                calls,
                waited(envoys) - before.1,
            ));
        }
    }
    for envoy in fleet.envoys() {
        envoy.assert_no_vm_failed();
    }
    Ok(rows)
}

fn warm_up(envoy: usize, address: SocketAddr) -> Result<(), String> {
    let key = move |request| format!("warm-up-{envoy}-{}", request % WARM_UP_KEYS);
    let request = move |number| request(&key(number));
    let sent = load::run(address, WARM_UP_CONNECTIONS, WARM_UP_REQUESTS, request);
    let statuses = sent.map_err(|error| format!("a proxy fails: {error}"))?;
    match statuses.iter().find(|status| **status != 200) {
        None => Ok(()),
        Some(other) => Err(format!("proxy {envoy} answers {other} instead of 200")),
    }
}

/// Waits until a visit fits into a window of the service.
fn wait_for_a_window() {
    let (_, rest) = window_at(WINDOW);
    let passed = Duration::from_secs(WINDOW) - rest;
    if rest < VISIT {
        thread::sleep(rest + BEGINNING);
    } else if passed < BEGINNING {
        thread::sleep(BEGINNING - passed);
    }
}

fn visit(envoys: &[Envoy], key: &str) -> Result<Vec<Outcome>, String> {
    let addresses = envoys.iter().map(|envoy| envoy.address(PLAIN));
    let addresses: Vec<SocketAddr> = addresses.collect();
    let outcomes = open_load::run(&addresses, RATE, REQUESTS, &request(key));
    let outcomes = outcomes.map_err(|error| format!("a proxy fails: {error}"))?;
    match outcomes
        .iter()
        .find(|end| ![200, 429].contains(&end.status))
    {
        None => Ok(outcomes),
        Some(other) => Err(format!("a proxy answers {other:?}")),
    }
}

/// The requests to rate-limit that have waited for the service.
fn waited(envoys: &[Envoy]) -> u64 {
    let waited = |envoy: &Envoy| -> u64 {
        let stats = envoy.stats_like("fleet_waited$");
        stats.with_prefix("").map(|(_, value)| value).sum()
    };
    envoys.iter().map(waited).sum()
}

fn request(key: &str) -> Request {
    Request::get("/shop/cart?item=1")
        .header("host", "shop.example")
        .header("accept", "*/*")
        .header(KEY, key)
}
