//! The policy, on a store in memory.

mod account;
mod configuration;
mod deposits;
mod grants;
mod headers;
mod inbound;
#[cfg(not(target_arch = "wasm32"))]
mod long;
mod model;
#[cfg(not(target_arch = "wasm32"))]
mod racing;
mod readings;
mod responses;
mod shadow;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;
use portcullis_table::memory_store::MemoryStore;

const SECOND: u64 = 1_000_000_000;
/// The beginning of a second, and of a bucket of a second.
const START: u64 = 1_700_000_000 * SECOND;
/// Envoy would have tried once more.
const URX: u64 = 0x8000;

/// A plugin at work.
struct World {
    policy: RetryBudget,
    store: MemoryStore,
    now: u64,
    open_breaker: Option<&'static str>,
    is_redirected: bool,
}

impl World {
    fn new(config: Value) -> Self {
        Self {
            policy: policy(config),
            store: MemoryStore::default(),
            now: START,
            open_breaker: None,
            is_redirected: false,
        }
    }

    fn advance(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    /// Sends a request with these headers to the cluster `orders`, if some budget is for it.
    fn try_send(&mut self, headers: &[(&str, &str)]) -> Option<Evaluation> {
        let headers = header_map(headers);
        let request = Request {
            subject: &Subject::new(&headers, b""),
            remote_address: b"",
            claims: b"",
            cluster: headers.get("x-cluster").map_or(b"orders", |name| name),
        };
        let breakers: Vec<_> = self.policy.breakers().collect();
        let is_open = |query: BreakerQuery| {
            let breaker = breakers[query.budget.index()].unwrap();
            let name = format!("{}/{}", breaker.policy, breaker.breaker);
            self.open_breaker == Some(name.as_str())
        };
        self.policy.on_request(
            &request,
            self.is_redirected,
            self.now,
            &mut self.store,
            is_open,
        )
    }

    fn send(&mut self, headers: &[(&str, &str)]) -> Evaluation {
        let evaluation = self.try_send(headers);
        evaluation.unwrap_or_else(|| panic!("no budget is for {headers:?}"))
    }

    fn get(&mut self) -> Evaluation {
        self.send(&[(":method", "GET")])
    }

    /// The end of a request that was sent to the upstream so many times.
    fn settle(&mut self, evaluation: &mut Evaluation, attempts: u64, flags: u64) -> Settlement {
        let report = Report {
            attempts,
            flags,
            details: b"via_upstream",
        };
        self.end(evaluation, report)
    }

    /// The end of a request of which Envoy says this.
    fn end(&mut self, evaluation: &mut Evaluation, report: Report<'_>) -> Settlement {
        self.policy
            .settle(evaluation, report, self.now, &mut self.store)
    }

    /// So many requests, one after the other, that succeed at once.
    fn succeed(&mut self, requests: u32) {
        for _ in 0..requests {
            let mut evaluation = self.get();
            assert_eq!(self.settle(&mut evaluation, 1, 0).used, 0);
        }
    }

    /// So many requests, one after the other, that fail however often they are retried: how many
    /// retries there are.
    fn fail(&mut self, requests: u32) -> u32 {
        (0..requests)
            .map(|_| {
                let mut evaluation = self.get();
                let attempts = 1 + u64::from(evaluation.granted());
                self.settle(&mut evaluation, attempts, URX).used
            })
            .sum()
    }

    /// The headers of a request as the router gets them.
    fn written(&self, evaluation: &Evaluation, headers: &[(&str, &str)]) -> HeaderMap {
        let mut headers = header_map(headers);
        self.policy.write_headers(evaluation, &mut headers);
        headers
    }
}

fn policy(config: Value) -> RetryBudget {
    let text = config.to_string();
    let config = config::read(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    RetryBudget::new(config)
}

/// A configuration with this budget alone. Unless it says otherwise, it has no reserve, so that the
/// arithmetic is that of the deposits.
fn one_budget(mut budget: Value) -> Value {
    budget["name"] = json!("orders");
    if budget["min_retries_per_second"].is_null() {
        budget["min_retries_per_second"] = json!(0);
    }
    json!({"budgets": [budget]})
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

fn line(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers
        .get_all(name)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    (!lines.is_empty()).then(|| lines.join(" | "))
}
