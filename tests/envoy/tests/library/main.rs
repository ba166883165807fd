//! What the library promises beyond the scenarios, on a real Envoy: no configuration and no disconnect ends the process,
//! and one route can have its own configuration.
//!
//! With the plugins in WebAssembly, these tests do nothing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests"
)]

mod calls;
mod configurations;
mod keys;
mod panics;
mod replies;
mod routes;
mod sharing;
mod waiting;

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_scenarios::placement::Host;

/// Whether this run is about WebAssembly.
fn is_wasm() -> bool {
    Host::chosen() == Host::Wasm
}

/// The wall clock, in seconds since the Unix epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}
