//! What the workers of a proxy may expect of this crate: its verifier of signatures, shared tables and values, clocks and
//! random numbers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests, which also start threads and sleep"
)]

mod jose;
mod process;
mod shared_values;
mod signature;
mod tables;
