//! Limits of a fleet among the limits of a policy, on a service in memory.

mod charges;
mod outages;
#[cfg(not(target_arch = "wasm32"))]
mod random;
mod requests;
mod service;
mod together;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{START, decisions, header_map, line, named, policy, text};
use crate::fleet_limits::{Call, FleetEvent, ServiceId, ServiceState, Services};
use crate::{Decision, Evaluation, LimitId, RateLimit, Reason};
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;
use portcullis_core::time::Nanos;
use portcullis_table::memory_store::MemoryStore;
use service::Service;

/// The host: states of services, and the events that it counts.
#[derive(Clone, Debug, Default)]
struct Host {
    states: [Vec<u8>; 2],
    /// What this worker believes, if it has not read the state for a while.
    copies: [Option<Vec<u8>>; 2],
    events: Vec<(LimitId, FleetEvent)>,
    is_full: bool,
}

impl Services for Host {
    fn state(&mut self, service: ServiceId) -> ServiceState {
        let copy = self.copies[service.index()].as_ref();
        ServiceState::of(copy.unwrap_or(&self.states[service.index()]))
    }

    fn update<T>(
        &mut self,
        service: ServiceId,
        change: impl FnMut(ServiceState) -> (ServiceState, T),
    ) -> Option<T> {
        let edit = ServiceState::edit(&mut self.states[service.index()], change);
        Some(edit.outcome.1)
    }

    fn may_wait(&self) -> bool {
        !self.is_full
    }

    fn count(&mut self, limit: LimitId, event: FleetEvent) {
        self.events.push((limit, event));
    }
}

/// A proxy with its service.
struct Fleet {
    policy: RateLimit,
    store: MemoryStore,
    host: Host,
    service: Service,
    now: Nanos,
    /// The calls that are on their way.
    calls: Vec<Arc<Call>>,
}

impl Fleet {
    fn new(config: Value) -> Self {
        Self {
            policy: policy(config),
            store: MemoryStore::default(),
            host: Host::default(),
            service: Service::default(),
            now: START,
            calls: Vec::new(),
        }
    }

    /// Sends a request with this `x-api-key`, and its calls on their way.
    fn send(&mut self, key: &str) -> Evaluation {
        self.send_with(&[("x-api-key", key)])
    }

    fn send_with(&mut self, headers: &[(&str, &str)]) -> Evaluation {
        let now = self.now;
        let (policy, store, host) = (&self.policy, &mut self.store, &mut self.host);
        let evaluation = with_request(headers, |request| {
            policy.on_request(request, now, store, host)
        });
        self.with_calls(evaluation)
    }

    fn resume(&mut self, evaluation: Evaluation) -> Evaluation {
        self.resume_with(&[("x-api-key", "a")], evaluation)
    }

    fn resume_with(&mut self, headers: &[(&str, &str)], evaluation: Evaluation) -> Evaluation {
        let now = self.now;
        let (policy, store, host) = (&self.policy, &mut self.store, &mut self.host);
        let evaluation = with_request(headers, |request| {
            policy.resume(evaluation, request, now, store, host)
        });
        self.with_calls(evaluation)
    }

    fn with_calls(&mut self, mut evaluation: Evaluation) -> Evaluation {
        self.calls.extend(evaluation.take_calls());
        evaluation
    }

    fn cancel(&mut self, evaluation: &mut Evaluation) {
        let (store, host) = (&mut self.store, &mut self.host);
        self.policy.cancel(evaluation, self.now, store, host);
    }

    /// The service answers all calls, a millisecond later.
    fn answer(&mut self) {
        self.now += Nanos::MILLISECOND;
        for call in std::mem::take(&mut self.calls) {
            let answer = self.service.answer(call.message(), self.now);
            self.report(&call, Some(&answer));
        }
    }

    /// All calls fail.
    fn fail(&mut self) {
        for call in std::mem::take(&mut self.calls) {
            self.report(&call, None);
        }
    }

    fn report(&mut self, call: &Call, answer: Option<&[u8]>) {
        let (store, host) = (&mut self.store, &mut self.host);
        self.policy
            .on_answer(call, answer.ok_or(()), 1, self.now, store, host);
    }

    /// A request that waits as long as it must, with a service that answers.
    fn finish(&mut self, key: &str) -> Evaluation {
        let mut evaluation = self.send(key);
        while evaluation.is_pending() {
            self.answer();
            evaluation = self.resume_with(&[("x-api-key", key)], evaluation);
        }
        // Renewals.
        self.answer();
        evaluation
    }

    fn admits(&mut self, key: &str) -> bool {
        !self.finish(key).is_denied()
    }

    /// The number of requests that pass, one after the other.
    fn admitted(&mut self, requests: u32, key: &str) -> u32 {
        (0..requests).map(|_| u32::from(self.admits(key))).sum()
    }

    fn events(&self, of: impl Fn(FleetEvent) -> Option<u32>) -> u32 {
        let events = self.host.events.iter();
        events.filter_map(|(_, event)| of(*event)).sum()
    }

    fn returned(&self) -> u32 {
        self.events(|event| match event {
            FleetEvent::Returned(hits) => Some(hits),
            _ => None,
        })
    }

    fn wasted(&self) -> u32 {
        self.events(|event| match event {
            FleetEvent::Wasted(hits) => Some(hits),
            _ => None,
        })
    }
}

fn with_request<T>(headers: &[(&str, &str)], act: impl FnOnce(&Request<'_>) -> T) -> T {
    let headers = header_map(headers);
    act(&Request {
        subject: &Subject::new(&headers, b""),
        remote_address: b"192.0.2.1:51000",
        claims: b"",
        cluster: b"",
    })
}

/// A configuration with these limits and the services `main` and `other`.
fn with_services(limits: Vec<Value>) -> Value {
    json!({
        "services": {
            "main": {"cluster": "ratelimit", "domain": "edge"},
            "other": {"cluster": "other", "domain": "edge"},
        },
        "limits": limits,
    })
}

/// A limit of the service `main` by `x-api-key`, with 100 requests a minute; `fleet` adds to its member of this name.
fn limit(name: &str, fleet: Value) -> Value {
    let mut limit = named(
        name,
        json!({
            "key": [{"header": "x-api-key"}],
            "rate": {"requests": 100, "per": "1m"},
            "algorithm": "fixed_window",
            "fleet": {"service": "main", "descriptor": [name]},
        }),
    );
    for (member, value) in fleet.as_object().unwrap() {
        limit["fleet"][member] = value.clone();
    }
    limit
}

fn each(name: &str) -> Value {
    limit(name, json!({"mode": "each"}))
}

/// A local limit of this many requests a minute for all.
fn local(name: &str, requests: u32) -> Value {
    let rate = json!({"requests": requests, "per": "1m"});
    named(name, json!({"rate": rate, "algorithm": "fixed_window"}))
}
