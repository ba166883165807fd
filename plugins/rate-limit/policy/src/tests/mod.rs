//! The policy, on a store in memory.

mod addresses;
mod algorithms;
mod charge;
mod claims;
mod configuration;
mod cost;
mod eviction;
mod fleet;
mod jitter;
mod key;
mod limits;
mod model;
#[cfg(not(target_arch = "wasm32"))]
mod racing;
mod refunds;
mod reply;
mod requests;
mod response_headers;
mod shadow;
mod spellings;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use portcullis_core::config::{self, Document, HasTables as _};
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::{Needs, Request};
use portcullis_core::matcher::Subject;
use portcullis_core::time::Nanos;
use portcullis_table::memory_store::MemoryStore;

/// A full hour: 2023-11-14 22:00 UTC.
const START: Nanos = Nanos::from_secs(1_700_000_000 / 3_600 * 3_600);

/// A policy with its store and a clock.
struct World {
    policy: RateLimit,
    store: MemoryStore,
    now: Nanos,
}

impl World {
    fn new(config: Value) -> Self {
        Self {
            policy: policy(config),
            store: MemoryStore::default(),
            now: START,
        }
    }

    fn advance(&mut self, time: Nanos) {
        self.now += time;
    }

    /// Sends a request with these headers from 192.0.2.1.
    fn send(&mut self, headers: &[(&str, &str)]) -> Evaluation {
        self.send_with_claims(headers, "")
    }

    /// Sends a request with these headers, and these claims of a verified token.
    fn send_with_claims(&mut self, headers: &[(&str, &str)], claims: &str) -> Evaluation {
        let headers = header_map(headers);
        let request = Request {
            subject: &Subject::new(&headers, b""),
            remote_address: b"192.0.2.1:51000",
            claims: claims.as_bytes(),
            cluster: b"",
        };
        self.policy
            .on_request(&request, self.now, &mut self.store, &mut NoServices)
    }

    /// Whether a request with these headers passes.
    fn admits(&mut self, headers: &[(&str, &str)]) -> bool {
        !self.send(headers).is_denied()
    }

    /// Sends this many equal requests and returns the number that pass.
    fn admitted(&mut self, requests: u32, headers: &[(&str, &str)]) -> u32 {
        (0..requests).map(|_| u32::from(self.admits(headers))).sum()
    }

    /// The response to a request, as the client receives it.
    fn respond(&mut self, evaluation: &mut Evaluation, headers: &[(&str, &str)]) -> HeaderMap {
        let mut response = header_map(headers);
        self.policy.on_response(
            evaluation,
            &mut response,
            self.now,
            &mut self.store,
            &mut NoServices,
        );
        response
    }

    /// The response's trailers.
    fn trail(&mut self, evaluation: &mut Evaluation, trailers: &[(&str, &str)]) {
        let trailers = header_map(trailers);
        self.policy.on_trailers(
            evaluation,
            &trailers,
            self.now,
            &mut self.store,
            &mut NoServices,
        );
    }

    /// The end of the stream, with this number as every value of the dynamic metadata.
    fn end(&mut self, evaluation: &mut Evaluation, number: Option<f64>) {
        self.policy.on_end(
            evaluation,
            |_, _| number,
            self.now,
            &mut self.store,
            &mut NoServices,
        );
    }
}

/// The remaining amount of the first limit, after an evaluation or a charge.
fn remaining(evaluation: &Evaluation) -> u32 {
    evaluation.checks()[0].quota.unwrap().remaining
}

fn errors(config: &Value) -> String {
    match Document::parse(config.to_string().as_bytes()).and_then(Config::read_with_tables) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

/// The errors of one limit, below its path.
fn limit_errors(limit: Value) -> String {
    errors(&one_limit(limit)).replace("$.limits[0]", "$")
}

fn policy(config: Value) -> RateLimit {
    let text = config.to_string();
    let config = config::read(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    RateLimit::new(config)
}

/// A configuration with this limit alone, which gets a name and, if it has none, a rate.
fn one_limit(limit: Value) -> Value {
    json!({"limits": [named("a", limit)]})
}

fn named(name: &str, mut limit: Value) -> Value {
    limit["name"] = json!(name);
    if limit["rate"].is_null() {
        limit["rate"] = json!({"requests": 1, "per": "1h"});
    }
    limit
}

fn header_map(entries: &[(&str, &str)]) -> HeaderMap {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    HeaderMap::new(
        entries
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
    )
}

fn decisions(evaluation: &Evaluation) -> Vec<Decision> {
    evaluation.checks().iter().map(Check::decision).collect()
}

fn line(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).map(|line| text(line)).collect();
    (!lines.is_empty()).then(|| lines.join(" | "))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
