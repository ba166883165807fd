//! Limits whose service holds amounts until they are committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::protobuf::{Fields, Message};
use serde_json::{Value, json};

use super::fleet::{LIMIT, by_result, calls, calls_with, config, is_out, passed, with_key};
use super::service_messages::{framed, key_of};
use super::{counter, scenario};
use crate::{Answer, Cluster, Request, Response, Scenario, Upstream, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::what_a_lease_does_not_use_returns_to_the_limit",
            reserving(json!({"lease": {"max": 20, "share": 100}})),
            what_a_lease_does_not_use_returns_to_the_limit,
        ),
        scenario(
            "rate_limit::all_of_a_held_limit_is_used",
            reserving(json!({})),
            all_of_a_held_limit_is_used,
        ),
        scenario(
            "rate_limit::workers_share_what_is_held",
            reserving(json!({})),
            workers_share_what_is_held,
        ),
        scenario(
            "rate_limit::each_request_reserves_and_commits",
            reserving(json!({"mode": "each"})),
            each_request_reserves_and_commits,
        ),
        scenario(
            "rate_limit::a_commit_that_fails_is_sent_again",
            reserving(json!({})),
            a_commit_that_fails_is_sent_again,
        ),
        scenario(
            "rate_limit::a_service_that_cannot_hold_is_out",
            reserving(json!({"on_outage": "deny"})),
            a_service_that_cannot_hold_is_out,
        ),
    ]
}

/// Leases are committed after two seconds and a half, and a tick.
const COMMITTED: Duration = Duration::from_secs(4);

fn reserving(fleet: Value) -> Value {
    let mut config = config(fleet);
    config["services"]["main"]["protocol"] = json!("reserve");
    config["limits"][0]["rate"]["per"] = json!("12s");
    config
}

/// A service without windows, whose holds do not end by themselves.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By value of the first entry.
    counts: HashMap<String, u32>,
    /// By identifier.
    holds: HashMap<String, (String, u32)>,
    reservations: u32,
    fails_to_commit: bool,
}

impl Service {
    fn serve(&self, world: &mut dyn World) {
        let service = self.clone();
        let answer = move |request: &Request| Answer::from(service.answer(request));
        world.serve(Cluster::Idp, Upstream::script(answer));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is counted, and what is held.
    fn count(&self, key: &str) -> (u32, u32) {
        self.with(|state| {
            let count = state.counts.get(key).copied().unwrap_or_default();
            (count, state.held(key))
        })
    }

    fn answer(&self, request: &Request) -> Response {
        let message = request.body.get(5..).unwrap_or_default();
        self.with(|state| match request.path.as_str() {
            "/kuadrant.service.ratelimit.v1.RateLimitService/Reserve" => state.reserve(message),
            "/kuadrant.service.ratelimit.v1.RateLimitService/Commit" => state.commit(message),
            other => panic!("{other}"),
        })
    }
}

impl State {
    fn held(&self, key: &str) -> u32 {
        let holds = self.holds.values().filter(|(of, _)| of == key);
        holds.map(|(_, amount)| amount).sum()
    }

    fn reserve(&mut self, message: &[u8]) -> Response {
        let (key, mut amount) = (key_of(message), 0);
        for field in Fields::of(message) {
            match field.expect("a message") {
                (3, value) => amount = value.number32().expect("an amount"),
                (4, ttl) => assert_ne!(ttl.bytes().expect("a time"), b""),
                _ => {}
            }
        }
        let used = self.counts.get(&key).copied().unwrap_or_default() + self.held(&key);
        let mut answer = Message::default();
        match used + amount <= LIMIT {
            true => {
                self.reservations += 1;
                let id = format!("hold-{}", self.reservations);
                answer.number(1, 1).text(2, &id);
                self.holds.insert(id, (key, amount));
            }
            false => {
                answer.number(1, 2);
            }
        }
        framed(&answer.into_bytes())
    }

    fn commit(&mut self, message: &[u8]) -> Response {
        if self.fails_to_commit {
            return Response::grpc_trailers_only(14);
        }
        let (key, mut actual, mut released) = (key_of(message), 0, false);
        for field in Fields::of(message) {
            match field.expect("a message") {
                (3, id) => released = self.holds.remove(id.text().expect("an id")).is_some(),
                (4, value) => actual = value.number32().expect("an amount"),
                _ => {}
            }
        }
        *self.counts.entry(key).or_default() += actual;
        let mut answer = Message::default();
        answer.number(1, released.into());
        framed(&answer.into_bytes())
    }
}

fn commits(world: &mut dyn World, result: &str) -> u64 {
    by_result(world, result, "fleet_commits")
}

fn what_a_lease_does_not_use_returns_to_the_limit(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    assert_eq!(passed(world, 5, "a"), 5);
    let taken = counter(world, "keys", "fleet_taken");
    assert!(taken > 5, "{taken}");
    world.pass(COMMITTED);
    assert_eq!(service.count("a"), (5, 0));
    assert!(commits(world, "ok") > 0);
    assert_eq!(counter(world, "keys", "fleet_released"), taken - 5);
    assert_eq!(counter(world, "keys", "fleet_wasted"), 0);
    assert_eq!(world.warnings(), [""; 0]);
}

fn all_of_a_held_limit_is_used(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    let first = world.send(with_key("a"));
    assert_eq!(first.status, 200);
    // The service says neither its limit nor what is left.
    assert_eq!(first.get_header("ratelimit"), None);
    assert_eq!(passed(world, 30, "a"), LIMIT - 1);
    calls(world);
    let denied = world.send(with_key("a"));
    assert_eq!(denied.status, 429);
    let wait = denied.get_header("retry-after").unwrap_or_default();
    assert!(["1", "2"].contains(&wait.as_str()), "{wait}");
    let shown = denied.get_header("ratelimit").unwrap_or_default();
    assert!(shown.starts_with("\"keys\";r=0;t="), "{shown}");
    world.pass(COMMITTED);
    assert_eq!(service.count("a"), (LIMIT, 0));
    assert_eq!(passed(world, 1, "a"), 0);
}

fn workers_share_what_is_held(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    let requests = (0..60).map(|_| with_key("a")).collect();
    let responses = world.send_together(requests);
    let passed = responses.iter().filter(|response| response.status == 200);
    let passed = u32::try_from(passed.count()).unwrap_or(u32::MAX);
    assert!((LIMIT / 2..=LIMIT).contains(&passed), "{passed}");
    world.pass(COMMITTED);
    assert_eq!(service.count("a"), (passed, 0));
}

fn each_request_reserves_and_commits(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    assert_eq!(passed(world, LIMIT + 5, "a"), LIMIT);
    world.pass(Duration::from_millis(100));
    assert_eq!(service.count("a"), (LIMIT, 0));
    // A commit for each of those that passed.
    assert_eq!(calls(world), 2 * LIMIT as usize + 5);
    assert_eq!(calls_with(world, "ok"), u64::from(LIMIT));
    assert_eq!(calls_with(world, "over_limit"), 5);
    assert_eq!(commits(world, "ok"), u64::from(LIMIT));
}

fn a_commit_that_fails_is_sent_again(world: &mut dyn World) {
    let service = Service::default();
    service.serve(world);
    service.with(|state| state.fails_to_commit = true);
    assert_eq!(passed(world, 2, "a"), 2);
    // The first failure, and none of those that follow: after three, a commit is given up.
    let looks = (0..40).take_while(|_| {
        world.pass(Duration::from_millis(100));
        commits(world, "error") == 0
    });
    assert!(looks.count() < 40);
    assert_eq!(service.count("a").0, 0);
    service.with(|state| state.fails_to_commit = false);
    world.pass(COMMITTED);
    assert_eq!(service.count("a"), (2, 0));
    assert!(commits(world, "ok") > 0);
    assert_eq!(commits(world, "given_up"), 0);
}

fn a_service_that_cannot_hold_is_out(world: &mut dyn World) {
    world.serve(Cluster::Idp, Upstream::Answers(Response::grpc_trailers_only(12)));
    for _ in 0..6 {
        assert_eq!(world.send(with_key("a")).status, 503);
    }
    assert!(is_out(world));
    let warnings = world.warnings();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    let expected = "service main is out: it does not implement kuadrant.service.ratelimit.v1.RateLimitService";
    assert!(warning.contains(expected), "{warning}");
}
