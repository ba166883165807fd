//! The policy, on a store in memory.

mod authors;
mod boards;
mod bulkhead;
mod configuration;
mod eviction;
mod half_open;
mod model;
mod outcomes;
mod probes;
#[cfg(not(target_arch = "wasm32"))]
mod racing;
mod readings;
mod replies;
mod several;
mod shadow;
mod status;
mod steps;
mod triggers;

use bytes::Bytes;
use serde_json::{Value, json};

use super::machine::Candidate;
use super::*;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;
use portcullis_table::memory_store::MemoryStore;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// A request without a body, which the breaker is for in all readings.
const CANDIDATE: Candidate = Candidate {
    is_complete: true,
    counts: true,
};

/// A plugin at work.
struct World {
    policy: CircuitBreaker,
    store: MemoryStore,
    now: u64,
    /// What happened since this was last looked at.
    happened: Vec<Happened>,
    boards: Vec<Vec<u8>>,
    /// The sums of what the gauges of all breakers moved by.
    gauges: board::Moved,
}

/// How a request ends.
#[derive(Clone, Debug)]
struct Ending {
    /// The response's headers; none if none came.
    headers: Option<HeaderMap>,
    trailers: Option<HeaderMap>,
    details: &'static str,
    flags: u64,
    attempts: Option<u32>,
    grpc_timeout: &'static str,
    is_internal: bool,
    is_upgrade: bool,
    /// The names of the properties that were asked for.
    asked: Vec<&'static str>,
}

impl Stream for Ending {
    fn code_details(&mut self) -> Vec<u8> {
        self.asked.push("details");
        self.details.into()
    }

    fn flags(&mut self) -> u64 {
        self.asked.push("flags");
        self.flags
    }

    fn attempts(&mut self) -> Option<u32> {
        self.asked.push("attempts");
        self.attempts
    }

    fn grpc_timeout(&mut self) -> Vec<u8> {
        self.asked.push("grpc-timeout");
        self.grpc_timeout.into()
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

/// A whole response of the upstream.
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

/// A client that went before there was a response.
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
            boards: vec![Vec::new(); policy.breakers.len()],
            policy,
            store: MemoryStore::default(),
            now: START,
            happened: Vec::new(),
            gauges: board::Moved::default(),
        };
        world.open_boards();
        world
    }

    /// The same state under another configuration.
    fn reconfigure(&mut self, config: Value) {
        self.policy = policy(config);
        self.open_boards();
    }

    fn open_boards(&mut self) {
        let about: Vec<_> = self.policy.tables().collect();
        for (bytes, about) in self.boards.iter_mut().zip(about) {
            let moved = board::open(bytes, about).outcome;
            self.gauges.state += moved.state;
            self.gauges.open_keys += moved.open_keys;
        }
    }

    fn advance(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    /// Lets a request with these headers come, whose headers nobody read unless a breaker needs them.
    fn send(&mut self, headers: &[(&str, &str)]) -> Admission {
        let arrival = Arrival {
            is_complete: true,
            has_headers: false,
        };
        self.arrive(headers, arrival)
    }

    /// Lets a request come whose body has yet to come.
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

    /// Lets the rest of a request come.
    fn complete(&mut self, admission: &mut Admission) {
        let moved = self
            .policy
            .on_request_complete(admission, self.now, &mut self.store);
        for (breaker, effects) in moved {
            self.note(breaker, effects);
        }
    }

    /// Lets the headers of a response come that has begun well.
    fn begin(&mut self, admission: &mut Admission, ending: &mut Ending) {
        let headers = ending.headers.clone().unwrap();
        self.policy.on_response(admission, &headers, self.now);
        if admission.needs_good_news() {
            let counted = self
                .policy
                .on_good_news(admission, ending, self.now, &mut self.store);
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
            .on_log(&mut admission, &mut ending, self.now, &mut self.store);
        for record in &records {
            self.note(record.breaker, record.effects.clone());
        }
        records
    }

    fn note(&mut self, breaker: BreakerId, effects: Effects) {
        let identity = self.policy.tables().nth(breaker.index()).unwrap().identity;
        for change in &effects.changes {
            let bytes = &mut self.boards[breaker.index()];
            let moved = board::update(bytes, identity, change).outcome;
            self.gauges.state += moved.state;
            self.gauges.open_keys += moved.open_keys;
        }
        if effects.happened != Happened::default() {
            self.happened.push(effects.happened);
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

    /// So many requests that end so; how many passed.
    fn calls(&mut self, number: u32, ending: &Ending) -> u32 {
        (0..number)
            .map(|_| u32::from(self.call(ending.clone())))
            .sum()
    }

    /// Why a request would be rejected, and for how long; it goes no further.
    fn rejection(&mut self) -> Option<(Reason, u64)> {
        let admission = self.send(&[]);
        let rejection = admission.rejection().map(|it| (it.reason, it.wait));
        if rejection.is_none() {
            self.end(admission, neutral());
        }
        rejection
    }

    /// Which phases began since this was last asked, and why circuits opened.
    fn transitions(&mut self) -> Vec<(Phase, Option<Cause>)> {
        let happened = std::mem::take(&mut self.happened);
        let transitions = happened.into_iter().filter_map(|it| it.transition);
        transitions.map(|it| (it.to, it.cause)).collect()
    }

    /// How many leases expired since this was last asked.
    fn expired(&mut self) -> u32 {
        let happened = std::mem::take(&mut self.happened);
        happened.iter().map(|it| it.leases_expired).sum()
    }
}

fn policy(config: Value) -> CircuitBreaker {
    let text = config.to_string();
    let config = config::read(text.as_bytes()).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    CircuitBreaker::new(config)
}

/// A configuration with this breaker alone. Without jitter, so that times are as they are told.
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

fn outcomes(admission: &Admission) -> Vec<Outcome> {
    admission.checks.iter().map(Check::outcome).collect()
}
