//! The behaviour of circuit-breaker that a user would notice.

mod authors;
mod bulkhead;
mod capabilities;
mod half_open;
mod keys;
mod modes;
mod readings;
mod replies;
mod states;
mod status;
mod verdicts;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Answer, Filter, Request, Response, Scenario, Upstream, World};

/// The requests that are sent while a capability is withheld.
pub(crate) fn capabilities() -> crate::capabilities::Subject {
    capabilities::subject()
}

/// The scenarios of circuit-breaker.
pub fn scenarios() -> Vec<Scenario> {
    [
        states::scenarios(),
        authors::scenarios(),
        half_open::scenarios(),
        verdicts::scenarios(),
        replies::scenarios(),
        bulkhead::scenarios(),
        keys::scenarios(),
        readings::scenarios(),
        modes::scenarios(),
        status::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A story of one instance of the plugin.
fn scenario(name: &'static str, config: &Value, story: fn(&mut dyn World)) -> Scenario {
    Scenario {
        name,
        filters: vec![plugin(config)],
        story,
    }
}

fn plugin(config: &Value) -> Filter {
    Filter::Plugin {
        module: "circuit_breaker",
        config: config.to_string(),
    }
}

/// How long a circuit stays open the first time. Stories that send requests within this time take much less.
const OPEN: Duration = Duration::from_secs(2);

/// An instance called `edge` with one breaker called `all`. By default it stays open for [`OPEN`], and then twice as
/// long.
fn breaker(breaker: Value) -> Value {
    json!({"name": "edge", "breakers": [named("all", breaker)]})
}

fn named(name: &str, mut breaker: Value) -> Value {
    breaker["name"] = json!(name);
    if breaker["open"].is_null() {
        breaker["open"] = json!({"base": "2s", "jitter": 0});
    }
    breaker
}

/// A breaker that opens at the first failure; one probe decides.
fn sensitive() -> Value {
    breaker(json!({"consecutive_failures": 1, "half_open": {"permits": 1}}))
}

fn ok() -> Response {
    Response::new(200)
}

fn failure() -> Response {
    Response::new(503)
}

fn get(world: &mut dyn World) -> Response {
    world.send(Request::get("/"))
}

/// Sends this many requests, and returns how many of them reached the upstream.
fn reached(world: &mut dyn World, requests: usize) -> usize {
    world.received();
    for _ in 0..requests {
        get(world);
    }
    world.received().len()
}

/// Lets the upstream fail once, which opens a sensitive breaker, and then answer.
fn open(world: &mut dyn World) {
    world.upstream(Upstream::Answers(failure()));
    assert_eq!(get(world).status, 503);
    world.upstream(Upstream::Answers(ok()));
    assert_eq!(reason(&get(world)), "circuit_open");
    world.received();
}

/// The reason for which a response does not come from the upstream; empty if it does.
fn reason(response: &Response) -> String {
    response
        .get_header("x-portcullis-reason")
        .unwrap_or_default()
}

/// How many seconds a response asks to wait; empty if it does not ask.
fn retry_after(response: &Response) -> String {
    response.get_header("retry-after").unwrap_or_default()
}

/// An upstream that delays its answers for longer than any story lasts.
fn silent() -> Upstream {
    Upstream::always(Answer::from(ok()).after(Duration::from_secs(60)))
}

/// A counter of the breaker `all`.
fn counter(world: &mut dyn World, metric: &str) -> u64 {
    world.counter(&name(&[], metric))
}

/// A counter of the breaker `all` by reason.
fn counter_by_reason(world: &mut dyn World, metric: &str, reason: &str) -> u64 {
    world.counter(&name(&[("reason", reason)], metric))
}

/// A gauge of the breaker `all`.
fn gauge(world: &mut dyn World, metric: &str) -> u64 {
    world.gauge(&name(&[], metric))
}

fn name(more: &[(&str, &str)], metric: &str) -> String {
    let labels = [&[("breaker", "all")], more].concat();
    crate::counter("circuit_breaker", "edge", &labels, metric)
}
