//! Scenarios of jwt-auth: what its users notice.

mod capabilities;
mod algorithms;
mod attacks;
mod claims;
mod fetching;
mod providers;
mod refusals;
mod revocation;
mod routes;
mod rules;
mod shadow;
mod signer;
mod spellings;
mod tokens;

use serde_json::{Value, json};

use crate::{Filter, Request, Scenario, World};
use signer::{ISSUER, jwks};

/// The test of missing capabilities.
pub(crate) fn capabilities() -> crate::capabilities::Subject {
    capabilities::subject()
}

/// The scenarios of jwt-auth.
pub fn scenarios() -> Vec<Scenario> {
    [
        tokens::scenarios(),
        attacks::scenarios(),
        refusals::scenarios(),
        rules::scenarios(),
        claims::scenarios(),
        spellings::scenarios(),
        routes::scenarios(),
        shadow::scenarios(),
        fetching::scenarios(),
        providers::scenarios(),
        revocation::scenarios(),
        algorithms::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The response of the key server of [`ISSUER`].
pub(crate) fn keys() -> crate::Response {
    crate::Response {
        body: jwks(&["a"]).to_string().into(),
        ..crate::Response::new(200)
    }
}

/// A token of the subject `ada`, valid until the year 2100.
pub(crate) fn good_token() -> String {
    signer::token(json!({}))
}

/// A token that expired in the year 2001.
pub(crate) fn expired_token() -> String {
    signer::token(json!({"exp": 1_000_000_000}))
}

/// A scenario with one instance of the plugin.
fn scenario(name: &'static str, config: Value, story: fn(&mut dyn World)) -> Scenario {
    Scenario {
        name,
        filters: vec![plugin(&config)],
        story,
    }
}

fn plugin(config: &Value) -> Filter {
    Filter::Plugin {
        module: "jwt_auth",
        config: config.to_string(),
    }
}

/// An instance `edge` whose provider `corp` has the key `a` and these settings, and whose rule requires its tokens
/// everywhere.
fn one_provider(settings: Value) -> Value {
    json!({
        "name": "edge",
        "providers": {"corp": provider(settings)},
        "rules": [{"name": "all", "require": {"provider": "corp"}}],
    })
}

/// The same with other rules.
fn with_rules(settings: Value, rules: Value) -> Value {
    let mut config = one_provider(settings);
    set(&mut config, "rules", rules);
    config
}

fn provider(settings: Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": ["shop"],
        "jwks": {"inline": jwks(&["a"])},
    });
    if let (Value::Object(provider), Value::Object(settings)) = (&mut provider, settings) {
        provider.extend(settings);
    }
    provider
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

fn with_token(request: Request, token: &str) -> Request {
    request.header("authorization", format!("Bearer {token}"))
}

/// The status of a request for `/` with a token.
fn status(world: &mut dyn World, token: &str) -> u16 {
    world.send(with_token(Request::get("/"), token)).status
}

/// The number of such decisions by a rule of the instance `edge`.
fn decisions(world: &mut dyn World, rule: &str, outcome: &str, reason: &str) -> u64 {
    let labels = [("rule", rule), ("outcome", outcome), ("reason", reason)];
    world.counter(&crate::counter("jwt_auth", "edge", &labels, "decisions"))
}

/// The number of such verifications by the instance `edge`.
fn verifications(world: &mut dyn World, path: &str) -> u64 {
    let labels = [("path", path)];
    world.counter(&crate::counter(
        "jwt_auth",
        "edge",
        &labels,
        "verifications",
    ))
}
