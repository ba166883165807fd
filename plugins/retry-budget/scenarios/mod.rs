//! The behaviour of retry-budget that a user would notice.

mod capabilities;
mod breakers;
mod conditions;
mod deposits;
mod inbound;
mod leases;
mod retries;
mod shadow;
mod signals;
mod storms;

use serde_json::{Value, json};

use crate::{Filter, Request, Response, Scenario, World};

/// The requests that are sent while a capability is withheld.
pub(crate) fn capabilities() -> crate::capabilities::Subject {
    capabilities::subject()
}

/// The scenarios of retry-budget.
pub fn scenarios() -> Vec<Scenario> {
    [
        storms::scenarios(),
        retries::scenarios(),
        conditions::scenarios(),
        deposits::scenarios(),
        leases::scenarios(),
        inbound::scenarios(),
        signals::scenarios(),
        breakers::scenarios(),
        shadow::scenarios(),
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
        module: "retry_budget",
        config: config.to_string(),
    }
}

/// An instance called `edge` with one budget called `all`. By default it has no reserve and a window that outlasts the
/// story, so that the numbers do not depend on its duration.
fn budget(mut budget: Value) -> Value {
    budget["name"] = json!("all");
    for (field, value) in [
        ("min_retries_per_second", json!(0)),
        ("window", json!("1h")),
    ] {
        if budget[field].is_null() {
            budget[field] = value;
        }
    }
    json!({"name": "edge", "budgets": [budget]})
}

/// A counter of the budget `all`.
fn counter(world: &mut dyn World, metric: &str) -> u64 {
    world.counter(&name(&[], metric))
}

/// A counter of the budget `all` by reason.
fn counter_by_reason(world: &mut dyn World, metric: &str, reason: &str) -> u64 {
    world.counter(&name(&[("reason", reason)], metric))
}

/// A gauge of the budget `all`.
fn gauge(world: &mut dyn World, metric: &str) -> u64 {
    world.gauge(&name(&[], metric))
}

/// The number of retries that the budget pays for.
fn balance(world: &mut dyn World) -> u64 {
    gauge(world, "balance")
}

fn name(more: &[(&str, &str)], metric: &str) -> String {
    let labels = [&[("budget", "all")], more].concat();
    crate::counter("retry_budget", "edge", &labels, metric)
}

/// Sends this number of requests that succeed at once, to pay for retries later.
fn pay(world: &mut dyn World, requests: u32) {
    world.upstream(crate::Upstream::Answers(ok()));
    for _ in 0..requests {
        assert_eq!(world.send(Request::get("/")).status, 200);
    }
    world.received();
}

fn ok() -> Response {
    Response::new(200)
}

fn failure() -> Response {
    Response::new(503)
}
