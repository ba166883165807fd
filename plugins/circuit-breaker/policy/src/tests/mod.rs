//! The policy, with a store in memory.

mod authors;
mod bulkhead;
mod clients;
mod configuration;
mod eviction;
mod half_open;
mod model;

mod probes;
#[cfg(not(target_arch = "wasm32"))]
mod racing;
mod readings;
mod replies;
mod several;
mod shadow;
mod snapshots;
mod status;
mod steps;
mod triggers;
mod verdicts;

use bytes::Bytes;
use serde_json::{Value, json};

use super::machine::Candidate;
use super::*;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;
use portcullis_core::short_text::ShortText;
use portcullis_core::time::Nanos;
use portcullis_table::memory_store::MemoryStore;

const START: Nanos = Nanos::from_secs(1_700_000_000);

/// A request without a body that the breaker matches in all readings.
const CANDIDATE: Candidate = Candidate {
    is_complete: true,
    counts: true,
};

/// A plugin with its state and a clock.
struct World {
    policy: CircuitBreaker,
    store: MemoryStore,
    now: Nanos,
    /// The events since the last call of a method that takes them.
    events: Vec<CircuitEvents>,
    snapshots: Vec<Vec<u8>>,
    /// The gauges, summed over all breakers.
    gauges: snapshot::GaugeDelta,
}

/// How a request ends.
#[derive(Clone, Debug)]
struct Ending {
    /// The headers of the response; `None` if there was no response.
    headers: Option<HeaderMap>,
    trailers: Option<HeaderMap>,
    details: &'static str,
    flags: u64,
    attempts: Option<u32>,
    grpc_timeout: &'static str,
    is_internal: bool,
    is_upgrade: bool,
    /// The properties that were read.
    asked: Vec<&'static str>,
}

impl Stream for Ending {
    fn code_details(&mut self) -> ShortText {
        self.asked.push("details");
        self.details.as_bytes().into()
    }

    fn flags(&mut self) -> u64 {
        self.asked.push("flags");
        self.flags
    }

    fn attempts(&mut self) -> Option<u32> {
        self.asked.push("attempts");
        self.attempts
    }

    fn grpc_timeout(&mut self) -> ShortText {
        self.asked.push("grpc-timeout");
        self.grpc_timeout.as_bytes().into()
    }

    fn is_internal(&mut self) -> bool {
        self.asked.push("internal");
        self.is_internal
    }

    fn is_upgrade(&mut self) -> bool {
        self.asked.push("upgrade");
        self.is_upgrade
    }
}

/// A complete response of the upstream.
fn answer(headers: &[(&str, &str)]) -> Ending {
    Ending {
        headers: Some(header_map(headers)),
        trailers: None,
        details: "via_upstream",
        flags: 0,
        attempts: Some(1),
        grpc_timeout: "",
        is_internal: false,
        is_upgrade: false,
        asked: Vec::new(),
    }
}

fn status(status: &str) -> Ending {
    answer(&[(":status", status)])
}

fn success() -> Ending {
    status("200")
}

fn failure() -> Ending {
    status("503")
}

/// A client that left before there was a response.
fn abandoned() -> Ending {
    Ending {
        headers: None,
        details: "downstream_remote_disconnect",
        flags: 0x4000,
        ..success()
    }
}

/// A reply of another filter.
fn neutral() -> Ending {
    Ending {
        details: "",
        attempts: Some(0),
        ..status("503")
    }
}

impl World {
    fn new(config: Value) -> Self {
        let policy = policy(config);
        let mut world = Self {
            snapshots: vec![Vec::new(); policy.breakers.len()],
            policy,
            store: MemoryStore::default(),
            now: START,
            events: Vec::new(),
            gauges: snapshot::GaugeDelta::default(),
        };
        world.begin_snapshots();
        world
    }

    /// The same state under another configuration.
    fn reconfigure(&mut self, config: Value) {
        self.policy = policy(config);
        self.begin_snapshots();
    }

    fn begin_snapshots(&mut self) {
        let table: Vec<_> = self.policy.tables().collect();
        for (bytes, table) in self.snapshots.iter_mut().zip(table) {
            let delta = snapshot::begin(bytes, table).outcome;
            self.gauges.state += delta.state;
            self.gauges.open_keys += delta.open_keys;
        }
    }

    fn advance(&mut self, time: Nanos) {
        self.now += time;
    }

    /// Sends a request with these headers, which are read only if a breaker needs them.
    fn send(&mut self, headers: &[(&str, &str)]) -> Admission {
        let arrival = Arrival {
            is_complete: true,
            has_headers: false,
        };
        self.arrive(headers, arrival)
    }

    /// Sends the headers of a request with a body.
    fn send_head(&mut self) -> Admission {
        let arrival = Arrival {
            is_complete: false,
            has_headers: false,
        };
        self.arrive(&[], arrival)
    }

    fn arrive(&mut self, headers: &[(&str, &str)], arrival: Arrival) -> Admission {
        let headers = header_map(headers);
        let request = Request {
            subject: &Subject::new(&headers, b""),
            remote_address: b"192.0.2.1:51000",
            claims: b"",
            cluster: b"payments",
        };
        let admission = self
            .policy
            .on_request(&request, arrival, self.now, &mut self.store);
        for check in &admission.checks {
            for effects in &check.effects {
                self.note(check.breaker, effects.clone());
            }
        }
        admission
    }

    /// Ends a request.
    fn end(&mut self, mut admission: Admission, ending: Ending) -> Vec<Recorded> {
        if let Some(headers) = &ending.headers {
            self.policy.on_response(&mut admission, headers, self.now);
        }
        self.log(admission, ending)
    }

    /// Sends the rest of a request.
    fn complete(&mut self, admission: &mut Admission) {
        let delta = self
            .policy
            .on_request_complete(admission, self.now, &mut self.store);
        for (breaker, effects) in delta {
            self.note(breaker, effects);
        }
    }

    /// Begins a good response.
    fn begin(&mut self, admission: &mut Admission, ending: &mut Ending) {
        let headers = ending.headers.clone().unwrap();
        self.policy.on_response(admission, &headers, self.now);
        if admission.needs_early_success() {
            let counted =
                self.policy
                    .on_early_success(admission, ending, self.now, &mut self.store);
            for (breaker, effects) in counted {
                self.note(breaker, effects);
            }
        }
    }

    /// Ends the stream of a request whose response has begun.
    fn log(&mut self, mut admission: Admission, mut ending: Ending) -> Vec<Recorded> {
        if let Some(trailers) = &ending.trailers {
            self.policy.on_trailers(&mut admission, trailers);
        }
        let records = self
            .policy
            .on_log(&mut admission, &mut ending, self.now, &mut self.store)
            .to_vec();
        for record in &records {
            self.note(record.breaker, record.effects.clone());
        }
        records
    }

    fn note(&mut self, breaker: BreakerId, effects: Effects) {
        let identity = self.policy.tables().nth(breaker.index()).unwrap().identity;
        for change in &effects.changes {
            let bytes = &mut self.snapshots[breaker.index()];
            let delta = snapshot::update(bytes, identity, change).outcome;
            self.gauges.state += delta.state;
            self.gauges.open_keys += delta.open_keys;
        }
        if effects.circuit != CircuitEvents::default() {
            self.events.push(effects.circuit);
        }
    }

    /// Sends a request and ends it at once; false if it was rejected.
    fn call(&mut self, ending: Ending) -> bool {
        self.call_with(&[], ending)
    }

    fn call_with(&mut self, headers: &[(&str, &str)], ending: Ending) -> bool {
        let admission = self.send(headers);
        let passes = !admission.is_rejected();
        if passes {
            self.end(admission, ending);
        }
        passes
    }

    /// Sends this number of requests that end in this way, and returns how many passed.
    fn calls(&mut self, number: u32, ending: &Ending) -> u32 {
        (0..number)
            .map(|_| u32::from(self.call(ending.clone())))
            .sum()
    }

    /// Sends a request, and returns why it is rejected and for how long, if it is. It has no result.
    fn rejection(&mut self) -> Option<(Reason, Nanos)> {
        let admission = self.send(&[]);
        let rejection = admission.rejection().map(|it| (it.reason, it.wait));
        if rejection.is_none() {
            self.end(admission, neutral());
        }
        rejection
    }

    /// The phases that began since the last call, and why circuits opened.
    fn transitions(&mut self) -> Vec<(Phase, Option<Cause>)> {
        let events = std::mem::take(&mut self.events);
        let transitions = events.into_iter().filter_map(|it| it.transition);
        transitions.map(|it| (it.to, it.cause)).collect()
    }

    /// How many leases expired since the last call.
    fn expired(&mut self) -> u32 {
        let events = std::mem::take(&mut self.events);
        events.iter().map(|it| it.leases_expired).sum()
    }
}

fn policy(config: Value) -> CircuitBreaker {
    let text = config.to_string();
    let config = config::read(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    CircuitBreaker::new(config)
}

/// A configuration with only this breaker, without jitter, so that times are exact.
fn one_breaker(breaker: Value) -> Value {
    json!({"breakers": [named("a", breaker)]})
}

fn named(name: &str, mut breaker: Value) -> Value {
    breaker["name"] = json!(name);
    if breaker["open"].is_null() {
        breaker["open"] = json!({"base": "5s", "max": "1m"});
    }
    if breaker["open"]["jitter"].is_null() {
        breaker["open"]["jitter"] = json!(0);
    }
    breaker
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

const CLOSED: (Phase, Option<Cause>) = (Phase::Closed, None);
const HALF_OPEN: (Phase, Option<Cause>) = (Phase::HalfOpen, None);

fn opened(cause: Cause) -> (Phase, Option<Cause>) {
    (Phase::Open, Some(cause))
}

fn decisions(admission: &Admission) -> Vec<Decision> {
    admission.checks.iter().map(Check::decision).collect()
}
