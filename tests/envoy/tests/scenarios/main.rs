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
mod pool;
mod proxy;
mod world;

use world::EnvoyWorld;

fn main() {
    portcullis_scenarios::run(
        EnvoyWorld::start,
        EnvoyWorld::try_start,
        EnvoyWorld::assert_no_vm_failed,
    );
}
