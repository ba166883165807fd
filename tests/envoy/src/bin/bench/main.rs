//! What a filter adds to the CPU time of a request: `make bench`.
//!
//! ```text
//! make bench BENCH_ARGS="--rounds 3 --only helmet,limit"
//! make bench BENCH_ARGS="--against /tmp/dist-before --only helmet"
//! make bench BENCH_ARGS="--upstream --only breaker,breaker_open"
//! ```
//!
//! There is one Envoy for each variant, of one worker, and all of them are there at once. They
//! answer by themselves, so that little else is measured, unless an upstream is asked for; that one
//! runs beside the load. After a warm-up, in
//! which V8 optimises what is called often, the load visits them in turn, round after round. What a
//! variant adds in a round is its CPU time per request less that of the Envoy without filters in
//! the same round. Many short visits see the same machine, whatever else it does meanwhile; a few
//! long ones, throughput, or runs one after the other do not. A visit begins with requests that are
//! not counted: the Envoy before has left its own code and data in the core's caches, and to load
//! ours anew is nothing that an Envoy at work has to do. Still, a number means something next to
//! those of the same run only, the empty filter's first of all.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed measurement has nothing better to do"
)]

mod cpu;
mod options;
mod table;
mod variants;

use std::process::ExitCode;

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use serde_json::json;

use options::Options;
use variants::{Credentials, Variant};

/// Connections that are kept alive during a visit.
const CONNECTIONS: usize = 16;
/// Enough for V8 to optimise what a request runs through, and to fill a table of the default size
/// where there are as many keys.
const WARM_UP_REQUESTS: usize = 20_000;
const WARM_UP_REQUESTS_OF_MANY_KEYS: usize = 300_000;
/// At the beginning of each visit, until the caches are warm.
const WAKING_REQUESTS: usize = 500;
/// In each visit: some 50 ms, in which the machine hardly changes.
const REQUESTS: usize = 2_000;
/// The request header by which the variants of rate-limit count.
const KEY: &str = "x-api-key";
/// The cores that Envoys and load have to themselves, so that neither moves.
const ENVOY_CORE: u32 = 0;
const LOAD_CORE: u32 = 1;

/// A variant, running.
struct Subject {
    variant: Variant,
    envoy: Envoy,
    /// The requests that it has got.
    requests: usize,
    /// By round.
    microseconds_per_request: Vec<f64>,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::FAILURE;
        }
    };
    cpu::pin(std::process::id(), LOAD_CORE);
    let chosen = variants::chosen(&options).into_iter();
    let start = |variant| Subject::start(variant, options.upstream);
    let mut subjects: Vec<Subject> = chosen.map(start).collect();

    eprintln!("warming up");
    for subject in &mut subjects {
        subject.send(match subject.variant.keys {
            1..=1000 => WARM_UP_REQUESTS,
            _ => WARM_UP_REQUESTS_OF_MANY_KEYS,
        });
    }
    eprintln!("measuring, {} rounds", options.rounds);
    for _ in 0..options.rounds {
        for subject in &mut subjects {
            let cost = subject.visit();
            subject.microseconds_per_request.push(cost);
        }
    }

    subjects
        .iter()
        .for_each(|subject| subject.envoy.assert_no_vm_failed());
    table::print(subjects.iter().map(|subject| {
        (
            subject.variant.name.as_str(),
            subject.microseconds_per_request.as_slice(),
        )
    }));
    ExitCode::SUCCESS
}

impl Subject {
    fn start(variant: Variant, has_upstream: bool) -> Self {
        let answer = json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
        });
        let builder = Envoy::builder()
            .concurrency(1)
            .connection_manager(json!({"access_log": []}));
        let builder = match has_upstream {
            true => builder,
            false => builder.route(answer),
        };
        let envoy = variant.filter.add_to(builder).start();
        cpu::pin(envoy.process_id(), ENVOY_CORE);
        let response = envoy
            .client()
            .send(&request(0, variant.credentials.as_ref()));
        assert!(
            (variant.works)(&envoy, &response),
            "{} does not do what is to be measured: {response:?}",
            variant.name
        );
        Self {
            variant,
            envoy,
            requests: 0,
            microseconds_per_request: Vec::new(),
        }
    }

    /// Puts the load on it. Returns its CPU time in microseconds per request.
    fn visit(&mut self) -> f64 {
        self.send(WAKING_REQUESTS);
        let process = self.envoy.process_id();
        let before = cpu::time(process);
        self.send(REQUESTS);
        let spent = cpu::time(process) - before;
        spent.as_secs_f64() * 1e6 / REQUESTS as f64
    }

    fn send(&mut self, requests: usize) {
        let (keys, expected) = (self.variant.keys, self.variant.status);
        let (credentials, first) = (self.variant.credentials.clone(), self.requests);
        self.requests += requests;
        let address = self.envoy.address(PLAIN);
        let statuses = load::run(address, CONNECTIONS, requests, move |number| {
            request(scattered(first + number) % keys, credentials.as_ref())
        });
        let name = &self.variant.name;
        let statuses = statuses.unwrap_or_else(|error| panic!("{name}: {error}"));
        let other = statuses.iter().find(|status| **status != expected);
        assert_eq!(other, None, "{name}: not every response was a {expected}");
    }
}

/// A number that has nothing to do with its neighbours (the finaliser of SplitMix64, in part).
fn scattered(number: usize) -> usize {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// What a browser sends, about, with a key.
fn request(key: usize, credentials: Option<&Credentials>) -> Request {
    let request = Request::get("/shop/cart?item=1")
        .header("host", "shop.example")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header(
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", "session=0123456789abcdef; theme=dark")
        .header(KEY, format!("{key:016x}"));
    match credentials {
        None => request,
        Some(credentials) => request.header("authorization", credentials(key)),
    }
}
