//! Properties of every module, whatever its plugins do. Small plugins show them on the native host.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod calls;
mod chain;
mod gate;
mod signatures;
mod slices;
mod tiny;
mod waiting;
