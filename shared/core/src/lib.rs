//! What Portcullis decides, and nothing else.
//!
//! Everything here is pure: state and time go in, a decision and the new state come out. Nothing
//! reads a clock, makes random numbers or calls Envoy, so the same code runs under `cargo test`
//! with a made-up clock, under property tests, on `wasm32-unknown-unknown` in Node, and in Envoy.
//! `shared/host` is the only crate that connects it with a proxy.
//!
//! Each policy has a folder whose `mod.rs` is its specification. What several policies need
//! stands beside them: [`config`] reads JSON and explains what is wrong with it, [`readings`] knows
//! the ways in which servers read a request, [`matcher`] decides which requests a rule is for,
//! [`headers`] holds the headers of one message, [`key`] says what is counted apart, [`table`] keeps
//! state for each key, [`reply`] is an answer of our own.
//!
//! `jwt_auth`, and what only it needs, takes the feature `jwt`, so that no other plugin's module depends
//! on cryptography: `remote` lets one worker fetch a document for all, `revocation` knows tokens that are
//! void, `jose` reads tokens and keys.

pub mod circuit_breaker;
pub mod config;
mod grpc;
pub mod headers;
#[cfg(feature = "jwt")]
pub mod jose;
#[cfg(feature = "jwt")]
pub mod jwt_auth;
pub mod key;
pub mod matcher;
pub mod rate_limit;
pub mod readings;
#[cfg(feature = "jwt")]
pub mod remote;
pub mod reply;
pub mod retry_budget;
#[cfg(feature = "jwt")]
pub mod revocation;
pub mod security_headers;
pub mod table;
