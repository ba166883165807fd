//! Several Envoys with one limit, which a rate-limit service counts on a real Redis.
//!
//! Without a Redis, which `tests/redis-server` also fetches, the tests pass and print that they were skipped.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod clocks;
mod exactness;
mod outages;
mod plugin;
mod reserve;
mod service;
mod waits;

use portcullis_envoy_tests::message::Request;

/// The unit of all limits here, in seconds.
const MINUTE: u64 = 60;

fn with_key(key: impl std::fmt::Display) -> Request {
    Request::get("/").header("x-api-key", key.to_string())
}
