//! What policies share: the parts of a decision that do not depend on which policy makes it.
//!
//! [`config`] reads JSON and reports every error in it. [`readings`] knows the ways in which servers read a
//! request, [`matcher`] decides to which requests a rule applies, [`key`] decides which requests are counted
//! together. [`headers`] holds the headers of one message, [`reply`] is a response that a policy sends itself.
//! [`time`] has a type for each of the two clocks, [`backoff`] and [`retry_after`] say when to try again.
//!
//! Everything here is pure: state and time go in, a decision and the new state come out. Nothing reads a
//! clock, generates random numbers or calls Envoy, so the same code runs under `cargo test` with a simulated
//! clock, under property tests, on `wasm32-unknown-unknown` in Node, and in Envoy. Only `shared/host` connects
//! it with a proxy.

pub mod backoff;
pub mod breaker_snapshot;
pub mod config;
pub mod grpc;
pub mod headers;
pub mod key;
pub mod label;
pub mod matcher;
pub mod policy;
pub mod readings;
pub mod reply;
pub mod retry_after;
pub mod signature;
pub mod time;
