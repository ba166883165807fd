//! The behaviour of rate-limit that users notice.

mod capabilities;
mod charging;
mod claims;
mod costs;
mod exemptions;
mod fleet;
mod keys;
mod limits;
mod replies;
mod requests;
mod reserve;
mod service_messages;
mod several_limits;
mod shadow;
mod spellings;

use serde_json::Value;

use crate::{Filter, Request, Scenario, World};

/// The test with restricted capabilities.
pub(crate) fn capabilities() -> crate::capabilities::Subject {
    capabilities::subject()
}

/// The scenarios of rate-limit.
pub fn scenarios() -> Vec<Scenario> {
    [
        limits::scenarios(),
        several_limits::scenarios(),
        shadow::scenarios(),
        keys::scenarios(),
        spellings::scenarios(),
        claims::scenarios(),
        costs::scenarios(),
        exemptions::scenarios(),
        charging::scenarios(),
        fleet::scenarios(),
        replies::scenarios(),
        requests::scenarios(),
        reserve::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A story of one instance of the plugin.
fn scenario(name: &'static str, config: Value, story: fn(&mut dyn World)) -> Scenario {
    Scenario {
        name,
        filters: vec![plugin(&config)],
        story,
    }
}

fn plugin(config: &Value) -> Filter {
    Filter::Plugin {
        module: "rate_limit",
        config: config.to_string(),
    }
}

/// A counter of the instance `edge`.
fn counter(world: &mut dyn World, limit: &str, metric: &str) -> u64 {
    let labels = [("limit", limit)];
    world.counter(&crate::counter("rate_limit", "edge", &labels, metric))
}

/// A counter by reason of the instance `edge`.
fn counter_by_reason(world: &mut dyn World, limit: &str, reason: &str, metric: &str) -> u64 {
    let labels = [("limit", limit), ("reason", reason)];
    world.counter(&crate::counter("rate_limit", "edge", &labels, metric))
}

/// Sends a request this many times and returns the statuses.
fn statuses(world: &mut dyn World, request: &Request, times: usize) -> Vec<u16> {
    (0..times)
        .map(|_| world.send(request.clone()).status)
        .collect()
}

/// The remaining amount in the `RateLimit` header, which must show one limit.
fn remaining(world: &mut dyn World, request: Request) -> Option<u32> {
    let field = world.send(request).get_header("ratelimit")?;
    let (_, rest) = field.split_once(";r=")?;
    let digits = rest.split(';').next()?;
    digits.parse().ok()
}
