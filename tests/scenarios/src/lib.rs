//! Scenarios: the behaviour that users of Portcullis would notice, written once and run on every host.
//!
//! A [`Scenario`] is a chain of filters and a story. The story acts through a [`World`]: clients send requests,
//! services respond, and the story checks what both receive and what the statistics say. There are two worlds. On the
//! native host (`tests`, here), a scenario takes milliseconds and time is virtual. On a real Envoy
//! (`tests/envoy/tests`), the same scenario shows that the native host behaves like Envoy.
//!
//! Both worlds have the same [clusters](Cluster) and the same routes:
//!
//! | path | route | cluster |
//! |---|---|---|
//! | below [`SHOP_PREFIX`] | [`SHOP_ROUTE`] | [`Cluster::Upstream`] |
//! | below [`RETRIED_PREFIX`] | [`RETRIED_ROUTE`], which retries | [`Cluster::Upstream`] |
//! | below [`SHORT_TIMEOUT_PREFIX`] | [`SHORT_TIMEOUT_ROUTE`], which times out early | [`Cluster::Upstream`] |
//! | below [`OTHER_PREFIX`] | [`OTHER_ROUTE`] | [`Cluster::Other`] |
//! | below [`TIER_PREFIX`], with [`TIER_HEADER`]: [`PUBLIC_TIER`] | [`PUBLIC_ROUTE`] | [`Cluster::Upstream`] |
//! | below [`TIER_PREFIX`], otherwise | [`PRIVATE_ROUTE`] | [`Cluster::Other`] |
//! | below [`NO_ROUTE_PREFIX`] | none: Envoy itself answers 404 | |
//! | any other | [`DEFAULT_ROUTE`] | [`Cluster::Upstream`] |
//!
//! Requests and responses have the number of attempts in `x-envoy-attempt-count`.
//!
//! The plugins of a scenario run in one module each, or all in one module: see [`placement`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "scenarios are tests, though they stand in a library"
)]

pub mod capabilities;
mod message;
pub mod placement;

pub mod contract;
pub mod tokens;
mod upstream;
mod world;

// The scenarios of each plugin, from `plugins/*/scenarios`.
include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

use libtest_mimic::{Arguments, Trial};

pub use message::{Request, Response};
pub use upstream::{Answer, Cluster, Script, Upstream};
pub use world::{
    DEFAULT_ROUTE, NO_ROUTE_PREFIX, OTHER_PREFIX, OTHER_ROUTE, PRIVATE_ROUTE, PUBLIC_ROUTE,
    PUBLIC_TIER, PendingRequest, RELOAD_TIME, RETRIED_PREFIX, RETRIED_ROUTE, RETRIES, RETRY_ON,
    SHOP_PREFIX, SHOP_ROUTE, SHORT_TIMEOUT, SHORT_TIMEOUT_PREFIX, SHORT_TIMEOUT_ROUTE, TIER_HEADER,
    TIER_PREFIX, World, counter,
};

/// A story and the filters that it tests.
pub struct Scenario {
    /// The name of the test: `plugin::what_it_shows`.
    pub name: &'static str,
    /// The filters. The first one is closest to the client.
    pub filters: Vec<Filter>,
    /// The events and assertions.
    pub story: fn(&mut dyn World),
}

/// A filter in a chain.
#[derive(Clone, Debug)]
pub enum Filter {
    /// A plugin, by the name of its module in `dist`, with its configuration in JSON.
    Plugin {
        /// Such as `security_headers`.
        module: &'static str,
        /// The configuration.
        config: String,
    },
    /// A plugin that [`World::crash`] can crash. A chain can have one.
    CrashablePlugin {
        /// Such as `security_headers`.
        module: &'static str,
        /// The configuration.
        config: String,
    },
    /// A plugin from which one capability is withheld.
    Restricted {
        /// Such as `security_headers`.
        module: String,
        /// The configuration.
        config: String,
        /// The name of a host call or callback; `None` withholds nothing.
        without: Option<String>,
    },
    /// A foreign filter that answers every request with 403.
    DenyAll,
    /// `claims-filter`, a stand-in for jwt-auth: it passes the object in `authorization: Bearer <JSON object>` on as
    /// the verified claims.
    Claims,
}

/// The main function of a test program. Each scenario is a test in a world of its own, which `start` creates with its
/// filters. After the story, `check` verifies the expectations that all scenarios share. `try_start` is for filters
/// that may refuse to start.
pub fn run<W: World + 'static>(
    start: fn(&[Filter]) -> W,
    try_start: capabilities::Start<W>,
    check: fn(&W),
) -> ! {
    let trial = |scenario: Scenario| {
        Trial::test(scenario.name, move || {
            let mut world = start(&scenario.filters);
            (scenario.story)(&mut world);
            check(&world);
            Ok(())
        })
    };
    let mut trials: Vec<Trial> = all().into_iter().map(trial).collect();
    trials.extend(capabilities::trials(try_start));
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

fn all() -> Vec<Scenario> {
    let mut scenarios = contract::scenarios();
    scenarios.extend(scenarios_of_plugins());
    scenarios
}
