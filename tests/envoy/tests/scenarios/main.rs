//! The scenarios, on a real Envoy.
//!
//! ```sh
//! cargo test -p portcullis-envoy-tests --test scenarios -- a_cross_site_post
//! ```
//!
//! Not a test for each scenario but one program over their list, so that a scenario that is
//! written for the native host runs here too without another word.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod messages;
mod proxy;
mod world;

use libtest_mimic::{Arguments, Trial};
use portcullis_scenarios::Scenario;

use world::EnvoyWorld;

fn main() {
    let trials = portcullis_scenarios::all().into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(scenario: Scenario) -> Trial {
    Trial::test(scenario.name, move || {
        let mut world = EnvoyWorld::start(&scenario.filters);
        (scenario.story)(&mut world);
        world.assert_no_vm_failed();
        Ok(())
    })
}
