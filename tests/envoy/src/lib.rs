//! Starts a real Envoy for tests, between a client and a scripted upstream.
//!
//! ```no_run
//! use portcullis_envoy_tests::envoy::Envoy;
//! use portcullis_envoy_tests::filter::PluginFilter;
//! use portcullis_envoy_tests::message::Request;
//! use portcullis_envoy_tests::upstream::Reply;
//!
//! let plugin = PluginFilter::new("security-headers").configuration(r#"{"name": "edge"}"#);
//! let envoy = Envoy::builder()
//!     .plugin(&plugin)
//!     .upstream(|_| Reply::new(200).header("x-powered-by", "PHP").body("hello"))
//!     .start();
//!
//! let response = envoy.client().send(&Request::get("/").header("host", "shop.example"));
//!
//! assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
//! assert_eq!(envoy.upstream().requests()[0].target, "/");
//! assert_eq!(envoy.wait_for_access_log(1)[0].flags, "-");
//! ```
//!
//! All calls are synchronous and have a timeout. A failure panics with its reason and Envoy's log. Envoy chooses its
//! ports, so any number of tests can run at once. It starts in about 50 ms (without plugins), so that each test can
//! have its own.
//!
//! The crate needs an Envoy (`make envoy`, or `ENVOY_BIN`), and for plugins the built modules (`make build`). Only the
//! tests in this crate's `tests/` need them: all other crates of the workspace are tested without Envoy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test tool reports by panicking"
)]

pub mod access_log;
pub mod artifacts;
pub mod bootstrap;
pub mod client;
pub mod crashable;
pub mod envoy;
pub mod filter;
pub mod fleet;
mod http1;
mod http2;
pub mod load;
pub mod log;
pub mod message;
pub mod open_load;
pub mod patience;
mod process;
pub mod redis;
mod runtime;
pub mod stats;
mod tls;
pub mod upstream;
pub mod validate;
pub mod yaml;
