//! Tests of the harness itself, on a real Envoy: it must report events as they were.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod failures;
mod library;
mod lifecycle;
mod manual;
mod messages;
mod plugins;
mod remote;
