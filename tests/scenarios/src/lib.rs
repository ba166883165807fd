//! What a user of Portcullis would notice, written once.
//!
//! A [`Scenario`] is a chain of filters and a story told through a [`World`]: requests that
//! clients send, what the services behind do, what both of them see, and what the statistics say.
//! There are two worlds. On the native host (`tests`, here) a scenario takes milliseconds and
//! time is virtual; on a real Envoy (`tests/envoy/tests`) it shows that the first one told the
//! truth.
//!
//! Both worlds have the same [clusters](Cluster) and the same routes: every path leads to the
//! upstream, on a route called [`DEFAULT_ROUTE`]; paths below [`SHOP_PREFIX`] on one called
//! [`SHOP_ROUTE`], below [`RETRIED_PREFIX`] on [`RETRIED_ROUTE`], which retries, below
//! [`HASTY_PREFIX`] on [`HASTY_ROUTE`], which does not wait for long; paths below
//! [`OTHER_PREFIX`] lead to another cluster; below [`TIER_PREFIX`] a header decides between
//! [`PUBLIC_ROUTE`] and [`PRIVATE_ROUTE`]; paths below [`NO_ROUTE_PREFIX`] lead nowhere, so that
//! Envoy itself answers 404. How often a request was sent stands in `x-envoy-attempt-count`, there
//! and back.
//!
//! The plugins of a scenario run in a module each, or all in one: see [`placement`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "scenarios are tests, though they stand in a library"
)]

pub mod capabilities;
mod message;
pub mod placement;

pub mod tokens;
mod upstream;
mod world;
pub mod worlds;

// The scenarios of each plugin, from `plugins/*/scenarios`.
include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

use libtest_mimic::{Arguments, Trial};

pub use message::{Request, Response};
pub use upstream::{Answer, Cluster, Script, Upstream};
pub use world::{
    DEFAULT_ROUTE, HASTE, HASTY_PREFIX, HASTY_ROUTE, NO_ROUTE_PREFIX, OTHER_PREFIX, OTHER_ROUTE,
    PRIVATE_ROUTE, PUBLIC_ROUTE, PUBLIC_TIER, RELOAD, RETRIED_PREFIX, RETRIED_ROUTE, RETRIES,
    RETRY_ON, SHOP_PREFIX, SHOP_ROUTE, TIER_HEADER, TIER_PREFIX, UnderWay, World, counter,
};

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
#[derive(Clone, Debug)]
pub enum Filter {
    /// One of the plugins, by the name of its module in `dist`, with its configuration as JSON.
    Plugin {
        /// Such as `security_headers`.
        module: &'static str,
        /// The configuration.
        config: String,
    },
    /// The same, but [`World::crash`] can make it crash. There can be one in the chain.
    MortalPlugin {
        /// Such as `security_headers`.
        module: &'static str,
        /// The configuration.
        config: String,
    },
    /// The same, but without one of the capabilities that it has elsewhere.
    Restricted {
        /// Such as `security_headers`.
        module: String,
        /// The configuration.
        config: String,
        /// The name of a host call or callback; `None` leaves nothing out.
        without: Option<String>,
    },
    /// A filter that is not ours and answers every request with 403.
    DenyAll,
    /// A stand-in for jwt-auth, `claims-filter`: with `authorization: Bearer <JSON object>` that
    /// object is handed over as the verified claims.
    Claims,
}

/// The main function of a test program: each scenario is a test, in a world of its own, which `start` makes
/// for its filters. When the story has ended, `check` looks for what no scenario says but all mean.
/// `try_start` is for filters that may refuse to start.
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
    let mut scenarios = worlds::scenarios();
    scenarios.extend(scenarios_of_plugins());
    scenarios
}
