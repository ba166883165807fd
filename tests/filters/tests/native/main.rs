//! The scenarios, on the native host.
//!
//! ```sh
//! cargo test -p portcullis-scenarios --test native -- a_cross_site_post
//! ```
//!
//! Not a test for each scenario but one program over their list, so that no scenario can be
//! forgotten here or on the real Envoy.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod filters;
mod messages;
mod world;

use libtest_mimic::{Arguments, Trial};
use portcullis_scenarios::Scenario;

use world::NativeWorld;

fn main() {
    let trials = portcullis_scenarios::all().into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(scenario: Scenario) -> Trial {
    Trial::test(scenario.name, move || {
        let mut world = NativeWorld::start(&scenario.filters);
        (scenario.story)(&mut world);
        world.assert_nothing_failed();
        Ok(())
    })
}
