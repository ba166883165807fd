//! The eight examples of the SDK, retold: what each of them does, as a filter, with its tests.

mod body;
mod clocks;
mod configured;
mod grpc_gate;
mod headers;
mod http_gate;
mod metadata;
mod tcp;

use proxy_wasm_native_host::{Host, Outcome};

/// The messages that a host logged.
fn said(host: &Host) -> Vec<String> {
    host.logs().into_iter().map(|line| line.message).collect()
}

/// A response header's value.
fn header<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a str> {
    outcome.response().header_value(name)
}
