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
//! The plugins of a scenario run in one module each, or all in one module, or in the library: see [`placement`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "scenarios are tests, though they stand in a library"
)]

pub mod capabilities;
pub mod exceptions;
mod message;
pub mod placement;

pub mod contract;
pub mod tokens;
mod upstream;
mod world;

// The scenarios of each plugin, from `plugins/*/scenarios`.
include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

use std::collections::BTreeMap;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

pub use exceptions::Place;
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

/// The response header that [`Filter::Usage`] reads.
pub const USAGE_HEADER: &str = "x-usage";
/// The namespace of its dynamic metadata.
pub const USAGE_NAMESPACE: &str = "io.envoy.ai_gateway";
/// The key of its number.
pub const USAGE_KEY: &str = "llm_total_token";

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
    /// A foreign filter that, as Envoy AI Gateway does, stores the number of tokens that a response used in the dynamic
    /// metadata, under [`USAGE_NAMESPACE`] and [`USAGE_KEY`]: the number in the response header [`USAGE_HEADER`]. It is
    /// the last filter.
    Usage,
    /// `claims-filter`, a stand-in for jwt-auth: it passes the object in `authorization: Bearer <JSON object>` on as
    /// the verified claims.
    Claims,
}

/// The main function of a test program. Each scenario is a test in a world of its own, which `start` creates with its
/// filters. After the story, `check` verifies the expectations that all scenarios share. `try_start` is for filters
/// that may refuse to start.
///
/// A test that does not apply in this `place` counts as ignored; see [`exceptions`].
pub fn run<W: World + 'static>(
    place: Place,
    start: fn(&[Filter]) -> W,
    try_start: capabilities::Start<W>,
    check: fn(&W),
) -> ! {
    let scenario = |scenario: Scenario| {
        let story = move || {
            let filters = &scenario.filters;
            if let Some(refusal) = exceptions::refusal(filters, place) {
                let log = try_start(filters).err().ok_or("no filter refused")?;
                return if_contains(&log, refusal);
            }
            let mut world = start(filters);
            (scenario.story)(&mut world);
            check(&world);
            Ok(())
        };
        Test {
            name: scenario.name.to_owned(),
            run: Box::new(story),
        }
    };
    let mut tests = interleaved(all().into_iter().map(scenario));
    // At the end: the reloads of VMs that these count stay in an Envoy's statistics.
    tests.extend(capabilities::tests(try_start));
    exceptions::assert_current(tests.iter().map(|test| test.name.as_str()));
    let trials = tests.into_iter().map(|test| test.trial(place));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit()
}

/// The tests in an order in which each plugin's are spread over the whole run: at any time, a test's neighbours are about
/// other plugins, so hosts that keep something for a plugin can share it.
fn interleaved(tests: impl Iterator<Item = Test>) -> Vec<Test> {
    let mut plugins: BTreeMap<String, Vec<Test>> = BTreeMap::new();
    for test in tests {
        let plugin = test.name.split("::").next().unwrap_or_default().to_owned();
        plugins.entry(plugin).or_default().push(test);
    }
    let mut places = Vec::new();
    for tests in plugins.into_values() {
        let count = tests.len();
        let place = |(index, test): (usize, Test)| ((2 * index + 1) * PLACES / count, test);
        places.extend(tests.into_iter().enumerate().map(place));
    }
    places.sort_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, test)| test).collect()
}

/// The number of places in [`interleaved`]: more than there are tests.
const PLACES: usize = 100_000;

struct Test {
    name: String,
    run: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
}

impl Test {
    fn trial(self, place: Place) -> Trial {
        match exceptions::reason(&self.name, place) {
            None => Trial::test(self.name, self.run),
            Some(why) => {
                Trial::ignorable_test(self.name, move || Ok(Completion::ignored_with(why)))
            }
        }
    }
}

fn if_contains(log: &str, refusal: &str) -> Result<(), Failed> {
    match log.contains(refusal) {
        true => Ok(()),
        false => Err(format!("not refused with {refusal:?}: {log}").into()),
    }
}

fn all() -> Vec<Scenario> {
    let mut scenarios = contract::scenarios();
    scenarios.extend(scenarios_of_plugins());
    scenarios
}
