//! The scenarios, on a real Envoy.
//!
//! ```sh
//! cargo test -p portcullis-envoy-tests --test scenarios -- a_cross_site_post
//! ```
//!
//! One program runs the whole list of scenarios, so that a scenario for the native host also runs here without further
//! code.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod messages;
mod pool;
mod proxy;
mod world;

use portcullis_envoy_tests::artifacts;
use portcullis_scenarios::Place;
use portcullis_scenarios::placement::Host;
use world::EnvoyWorld;

fn main() {
    let place = Place {
        host: Host::chosen(),
        envoy: artifacts::envoy_version(),
    };
    portcullis_scenarios::run(
        place,
        EnvoyWorld::start,
        EnvoyWorld::try_start,
        EnvoyWorld::assert_no_vm_failed,
    );
}
