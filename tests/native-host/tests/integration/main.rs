//! The host, as tests of filters see it.
//!
//! Tests that need the process's panic hook or logger for themselves are programs of their own beside this one.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    reason = "a test reports by panicking; the probe calls the ABI with pointers to what it owns"
)]

mod calls;
mod cases;
mod common;
mod crash;
mod failures;
#[cfg(feature = "verify-signature")]
mod foreign;
mod grpc;
mod inspect;
mod lifecycle;
mod recorded;
mod requests;
mod sdk_examples;
mod time;
mod workers;
