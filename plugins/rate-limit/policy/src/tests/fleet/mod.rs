//! Limits of a fleet among the limits of a policy, on a service in memory.

mod answers;
mod bursts;
mod charges;
mod outages;
#[cfg(not(target_arch = "wasm32"))]
mod proxies;
#[cfg(not(target_arch = "wasm32"))]
mod random;
mod requests;
mod reserve;
mod reserving;
mod service;
mod together;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{START, decisions, header_map, line, named, policy, text};
use crate::fleet_limits::{Call, Due, FleetEvent, Hold, ServiceId, ServiceState, Services};
use crate::{Decision, Evaluation, LimitId, RateLimit, Reason};
use portcullis_core::key::Request;
use portcullis_core::matcher::Subject;
use portcullis_core::time::Nanos;
use portcullis_table::memory_store::MemoryStore;
use reserving::Reserving;
use service::Service;

/// The host: states of services, and the events that it counts.
#[derive(Clone, Debug, Default)]
struct Host {
    states: [Vec<u8>; 2],
    /// What this worker believes, if it has not read the state for a while.
    copies: [Option<Vec<u8>>; 2],
    events: Vec<(LimitId, FleetEvent)>,
    /// By service: no further request may wait for it.
    is_full: [bool; 2],
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

    fn may_wait(&self, service: ServiceId) -> bool {
        !self.is_full[service.index()]
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
    /// The same for services with `Reserve`.
    reserving: Reserving,
    now: Nanos,
    /// The calls that are on their way.
    calls: Vec<Arc<Call>>,
    holds: Vec<Hold>,
}

impl Fleet {
    fn new(config: Value) -> Self {
        Self {
            policy: policy(config),
            store: MemoryStore::default(),
            host: Host::default(),
            service: Service::default(),
            reserving: Reserving::default(),
            now: START,
            calls: Vec::new(),
            holds: Vec::new(),
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
            let answer = self.answer_to(&call);
            self.report(&call, Some(&answer));
        }
    }

    fn answer_to(&mut self, call: &Call) -> Vec<u8> {
        match call.path().ends_with("/Reserve") {
            true => self.reserving.reserve(call.message(), self.now),
            false => self.service.answer(call.message(), self.now),
        }
    }

    /// All calls fail.
    fn fail(&mut self) {
        for call in std::mem::take(&mut self.calls) {
            self.report(&call, None);
        }
    }

    /// Loses one of the calls.
    fn lose(&mut self, call: usize) {
        let lost = self.calls.remove(call);
        self.report(&lost, None);
    }

    /// Sends a request, whose call is lost if it makes one.
    fn send_in_vain(&mut self) -> Evaluation {
        let evaluation = self.send("a");
        match evaluation.is_pending() {
            true => {
                self.fail();
                self.resume(evaluation)
            }
            false => evaluation,
        }
    }

    fn report(&mut self, call: &Arc<Call>, answer: Option<&[u8]>) {
        let (store, host) = (&mut self.store, &mut self.host);
        let effect = self
            .policy
            .on_answer(call, answer.ok_or(()), 1, self.now, store, host);
        if let Some(hold) = effect.hold {
            let replaced = self.holds.iter_mut().filter(|it| it.key() == hold.key());
            replaced
                .filter(|it| it.key().is_some())
                .for_each(Hold::replaced);
            self.holds.push(hold);
        }
    }

    /// The commits that are due now.
    fn commits(&mut self) -> Vec<(Hold, Vec<u8>)> {
        let mut commits = Vec::new();
        for mut hold in std::mem::take(&mut self.holds) {
            if hold.due() > self.now {
                self.holds.push(hold);
                continue;
            }
            let (store, host) = (&mut self.store, &mut self.host);
            match self.policy.commit(&mut hold, self.now, store, host) {
                Due::Commit(message) => commits.push((hold, message)),
                Due::Later => self.holds.push(hold),
                Due::Over => {}
            }
        }
        commits
    }

    fn committed(&mut self, hold: &Hold, answer: Option<&[u8]>) {
        let (store, host) = (&mut self.store, &mut self.host);
        let answer = answer.ok_or(());
        let committed = self
            .policy
            .on_commit(hold, answer, 1, self.now, store, host);
        self.holds.extend(committed.again);
    }

    /// Time passes, with a tick in each second that commits what is due.
    fn pass(&mut self, time: Nanos) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + Nanos::SECOND);
            for (hold, message) in self.commits() {
                let answer = self.reserving.commit(&message, self.now);
                self.committed(&hold, Some(&answer));
            }
        }
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

    fn released(&self) -> u32 {
        self.events(|event| match event {
            FleetEvent::Released(hits) => Some(hits),
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

/// The same with services that hold amounts.
fn reserving(limits: Vec<Value>) -> Value {
    let mut config = with_services(limits);
    for service in ["main", "other"] {
        config["services"][service]["protocol"] = json!("reserve");
    }
    config
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

/// All algorithms; the second one is the default.
const ALGORITHMS: [&str; 3] = ["fixed_window", "gcra", "sliding_window"];

/// Such a limit with 1000 requests a minute, in leases too small to be renewed ahead.
fn large_limit(algorithm: &str) -> Value {
    let mut limit = limit("k", json!({"lease": {"max": 3, "share": 10}}));
    limit["algorithm"] = json!(algorithm);
    limit["rate"]["requests"] = json!(1_000);
    limit
}

/// A proxy with that limit, and its service.
fn large(algorithm: &str) -> Fleet {
    let mut fleet = Fleet::new(with_services(vec![large_limit(algorithm)]));
    fleet.service.limits.insert("k".to_owned(), 1_000);
    fleet
}

fn each(name: &str) -> Value {
    limit(name, json!({"mode": "each"}))
}

/// A local limit of this many requests a minute for all.
fn local(name: &str, requests: u32) -> Value {
    let rate = json!({"requests": requests, "per": "1m"});
    named(name, json!({"rate": rate, "algorithm": "fixed_window"}))
}
