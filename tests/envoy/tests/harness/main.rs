//! The harness itself, on a real Envoy: what it shows must be what happened.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod failures;
mod lifecycle;
mod manual;
mod messages;
mod plugins;
mod remote;
