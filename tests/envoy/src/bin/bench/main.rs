//! What a filter adds to the CPU time of a request: `make bench`.
//!
//! ```text
//! make bench BENCH_ARGS="--rounds 3 --only empty,helmet"
//! make bench BENCH_ARGS="--against /tmp/before.wasm --only helmet"
//! ```
//!
//! There is one Envoy for each variant, of one worker, and all of them are there at once. They
//! answer by themselves, without an upstream, so that little else is measured. After a warm-up, in
//! which V8 optimises what is called often, the load visits them in turn, round after round. What a
//! variant adds in a round is its CPU time per request less that of the Envoy without filters in
//! the same round. Many short visits see the same machine, whatever else it does meanwhile; a few
//! long ones, throughput, or runs one after the other do not. Still, a number means something next
//! to those of the same run only, the empty filter's first of all.

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
use variants::Variant;

/// Connections that are kept alive during a visit.
const CONNECTIONS: usize = 16;
/// Enough for V8 to optimise what a request runs through.
const WARM_UP_REQUESTS: usize = 20_000;
/// In each visit: some 50 ms, in which the machine hardly changes.
const REQUESTS: usize = 2_000;
/// The cores that Envoys and load have to themselves, so that neither moves.
const ENVOY_CORE: u32 = 0;
const LOAD_CORE: u32 = 1;

/// A variant, running.
struct Subject {
    name: String,
    envoy: Envoy,
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
    let mut subjects: Vec<Subject> = variants::chosen(&options).map(Subject::start).collect();

    eprintln!("warming up");
    subjects.iter().for_each(|subject| {
        subject.visit(WARM_UP_REQUESTS);
    });
    eprintln!("measuring, {} rounds", options.rounds);
    for _ in 0..options.rounds {
        for subject in &mut subjects {
            let cost = subject.visit(REQUESTS);
            subject.microseconds_per_request.push(cost);
        }
    }

    subjects
        .iter()
        .for_each(|subject| subject.envoy.assert_no_vm_failed());
    table::print(subjects.iter().map(|subject| {
        (
            subject.name.as_str(),
            subject.microseconds_per_request.as_slice(),
        )
    }));
    ExitCode::SUCCESS
}

impl Subject {
    fn start(variant: Variant) -> Self {
        let answer = json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
        });
        let builder = Envoy::builder()
            .concurrency(1)
            .connection_manager(json!({"access_log": []}))
            .route(answer);
        let envoy = variant.filter.add_to(builder).start();
        cpu::pin(envoy.process_id(), ENVOY_CORE);
        let subject = Self {
            name: variant.name,
            envoy,
            microseconds_per_request: Vec::new(),
        };
        let response = subject.envoy.client().send(&request());
        assert_eq!(
            response.header("x-frame-options").is_some(),
            variant.sets_headers,
            "{} does not do what is to be measured: {response:?}",
            subject.name
        );
        subject
    }

    /// Puts the load on it. Returns its CPU time in microseconds per request.
    fn visit(&self, requests: usize) -> f64 {
        let process = self.envoy.process_id();
        let before = cpu::time(process);
        let statuses = load::run(self.envoy.address(PLAIN), CONNECTIONS, requests, |_| {
            request()
        })
        .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let spent = cpu::time(process) - before;
        let failed = statuses.iter().find(|status| **status != 200);
        assert_eq!(failed, None, "{}: not every response was a 200", self.name);
        spent.as_secs_f64() * 1e6 / requests as f64
    }
}

/// What a browser sends, about.
fn request() -> Request {
    Request::get("/shop/cart?item=1")
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
}
