//! Runs the scenarios on the native host.
//!
//! ```sh
//! cargo test -p portcullis-scenarios --test native -- a_cross_site_post
//! ```
//!
//! One program runs the whole list, here and on the real Envoy, so that no scenario can be forgotten.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod filters;
mod messages;
mod world;

use portcullis_scenarios::Place;
use portcullis_scenarios::placement::{self, Host};
use world::NativeWorld;

fn main() {
    assert_eq!(placement::ORDER.as_slice(), portcullis::order());
    let place = Place {
        host: Host::Wasm,
        envoy: (1, 40),
    };
    portcullis_scenarios::run(
        place,
        NativeWorld::start,
        NativeWorld::try_start,
        NativeWorld::assert_nothing_failed,
    );
}
