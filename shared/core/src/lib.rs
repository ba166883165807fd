//! The pure code that policies share.
//!
//! [`config`] reads a JSON configuration and reports every error in it. [`readings`] finds the interpretations that
//! servers may give to a request, [`matcher`] decides which requests a rule applies to, and [`key`] decides which
//! requests are counted together. [`headers`] holds the headers of one message, and [`reply`] is a response that a
//! policy sends itself. [`protobuf`] reads and writes the messages of services, and [`grpc`] recognises gRPC. [`time`]
//! has a type for each of the two clocks; [`short_text`] and [`few`] are short texts and lists; [`backoff`] and
//! [`retry_after`] compute how long to wait before a retry.
//!
//! Everything here is pure: state and time go in, a decision and the new state come out. Nothing reads a clock,
//! generates random numbers or calls Envoy. So the same code runs under `cargo test` with a simulated clock, in
//! property tests, on `wasm32-unknown-unknown` in Node, and in Envoy. Only `shared/host` connects it with a proxy.

pub mod backoff;
pub mod breaker_snapshot;
pub mod config;
pub mod evaluation;
pub mod few;
pub mod grpc;
pub mod headers;
pub mod key;
pub mod label;
pub mod matcher;
pub mod policy;
pub mod protobuf;
pub mod readings;
pub mod reply;
pub mod retry_after;
pub mod short_text;
pub mod signature;
pub mod time;
