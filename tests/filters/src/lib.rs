//! What a user of Portcullis would notice, written once.
//!
//! A [`Scenario`] is a chain of filters and a story told through a [`World`]: requests that a
//! client sends, what the upstream does, what both of them see, and what the statistics say. There
//! are two worlds. On the native host (`tests/filters/tests`) a scenario takes milliseconds and
//! time is virtual; on a real Envoy (`tests/envoy/tests`) it shows that the first one told the
//! truth.
//!
//! Both worlds have the same routes: every path leads to the upstream, on a route called
//! [`DEFAULT_ROUTE`]; paths below [`SHOP_PREFIX`] on one called [`SHOP_ROUTE`]; paths below
//! [`NO_ROUTE_PREFIX`] lead nowhere, so that Envoy itself answers 404.

#![allow(
    clippy::expect_used,
    reason = "scenarios are tests, though they stand in a library"
)]

mod message;
pub mod rate_limit;
pub mod security_headers;

use std::time::Duration;

pub use message::{Request, Response};

/// The name of the route for every path that has no other.
pub const DEFAULT_ROUTE: &str = "default";
/// The name of the route for paths below [`SHOP_PREFIX`].
pub const SHOP_ROUTE: &str = "shop";
/// Paths that begin so are on [`SHOP_ROUTE`].
pub const SHOP_PREFIX: &str = "/shop/";
/// Paths that begin so have no route.
pub const NO_ROUTE_PREFIX: &str = "/no-route/";

/// One story, and the filters it is about.
pub struct Scenario {
    /// Its name among the tests: `plugin::what_it_shows`.
    pub name: &'static str,
    /// The filters, the one nearest to the client first.
    pub filters: Vec<Filter>,
    /// What happens, with assertions.
    pub story: fn(&mut dyn World),
}

/// A filter in the chain.
pub enum Filter {
    /// One of the plugins, by the name of its module in `dist`, with its configuration as JSON.
    Plugin {
        /// Such as `security_headers`.
        module: &'static str,
        /// The configuration.
        config: String,
    },
    /// A filter that is not ours and answers every request with 403.
    DenyAll,
    /// A stand-in for jwt-auth, `claims-filter`: with `authorization: Bearer <JSON object>` that
    /// object is handed over as the verified claims.
    Claims,
}

/// What the upstream does with a request.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// It answers so.
    Answers(Response),
    /// It cannot be reached.
    Unreachable,
}

/// A proxy with a chain of filters, a client before it and an upstream behind it.
pub trait World {
    /// Decides what the upstream does from now on. At first it answers 200 with an empty body.
    fn upstream(&mut self, upstream: Upstream);

    /// Sends a request and waits for the whole response.
    fn send(&mut self, request: Request) -> Response;

    /// The requests that have reached the upstream since this was last asked.
    fn received(&mut self) -> Vec<Request>;

    /// The value of a counter, by the name under which the plugin defined it; see [`counter`].
    fn counter(&mut self, name: &str) -> u64;

    /// Lets time pass: virtual on the native host, real on Envoy.
    fn pass(&mut self, time: Duration);
}

/// The name of a counter of a plugin instance (see `shared/host`, `metrics`).
pub fn counter(plugin: &str, policy: &str, labels: &[(&str, &str)], metric: &str) -> String {
    let labels: String = labels
        .iter()
        .map(|(label, value)| format!("{label}=.={value};.;"))
        .collect();
    format!("portcullis.{plugin}.policy=.={policy};.;{labels}{metric}")
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let mut scenarios = rate_limit::scenarios();
    scenarios.extend(security_headers::scenarios());
    scenarios
}
