//! What jwt-auth promises on a real Envoy: it is as strict as documented, compared with Envoy's own `jwt_authn`; keys
//! rotate and key servers fail without effects on clients; and no token does harm. Everything else that a user would
//! notice is a scenario.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "helpers of tests are tests"
)]

mod crash;
mod differential;
mod hostile;
mod integration;
mod key_server;
mod outages;
mod redirects;
mod revocation;
mod rotation;
mod tcp_proxy;
mod unreachable;
mod validation;
mod waiting;

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_envoy_tests::envoy::Envoy;
use portcullis_envoy_tests::filter::PluginFilter;
use portcullis_envoy_tests::message::Request;
use serde_json::Value;

const ISSUER: &str = "https://idp.example";

fn plugin(configuration: &Value) -> PluginFilter {
    PluginFilter::new("jwt-auth").configuration(&configuration.to_string())
}

/// The wall clock, in seconds since the Unix epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

fn bearer(token: impl AsRef<[u8]>) -> Request {
    with_authorization([b"Bearer ", token.as_ref()].concat())
}

fn with_authorization(value: impl Into<Vec<u8>>) -> Request {
    Request::get("/").header("authorization", value)
}

/// A counter or gauge of the instance `edge`; `labels` as in `provider=.=corp;.;`.
fn count(envoy: &Envoy, labels: &str, metric: &str) -> u64 {
    envoy.counter(&name(labels, metric))
}

fn name(labels: &str, metric: &str) -> String {
    format!("portcullis.jwt_auth.policy=.=edge;.;{labels}{metric}")
}
