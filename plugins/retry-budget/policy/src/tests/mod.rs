//! The policy, with a store in memory.

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
mod steps;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;
use portcullis_table::memory_store::MemoryStore;

/// The beginning of a second, and of a bucket of a second.
const START: Nanos = Nanos::from_secs(1_700_000_000);
/// The flag of a request that Envoy would have retried once more.
const URX: u64 = 0x8000;

/// A plugin with its state and a clock.
struct World {
    policy: RetryBudget,
    store: MemoryStore,
    now: Nanos,
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

    fn advance(&mut self, time: Nanos) {
        self.now += time;
    }

    /// Sends a request with these headers to the cluster `orders`. `None` if no budget applies to it.
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

    /// Ends a request that was sent to the upstream this many times.
    fn record(&mut self, evaluation: &mut Evaluation, attempts: u64, flags: u64) -> Recorded {
        let report = Report {
            attempts,
            flags,
            details: b"via_upstream",
        };
        self.end(evaluation, report)
    }

    /// Ends a request with this report of Envoy.
    fn end(&mut self, evaluation: &mut Evaluation, report: Report<'_>) -> Recorded {
        self.policy
            .record(evaluation, report, self.now, &mut self.store)
    }

    /// Sends this number of requests, one after another, which succeed at once.
    fn succeed(&mut self, requests: u32) {
        for _ in 0..requests {
            let mut evaluation = self.get();
            assert_eq!(self.record(&mut evaluation, 1, 0).used, 0);
        }
    }

    /// Sends this number of requests, one after another, which fail with every retry, and returns the number of
    /// retries.
    fn fail(&mut self, requests: u32) -> u32 {
        (0..requests)
            .map(|_| {
                let mut evaluation = self.get();
                let attempts = 1 + u64::from(evaluation.granted());
                self.record(&mut evaluation, attempts, URX).used
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

/// A configuration with only this budget. By default it has no reserve, so that only deposits count.
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
