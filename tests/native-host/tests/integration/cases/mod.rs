//! Ten cases that filter authors meet, in the spirit of the Go SDK's test framework.

mod bodies;
mod calls;
mod sharing;
mod timers;

use proxy_wasm::traits::{HttpContext, RootContext};
use proxy_wasm_native_host::{Filter, Host, HostBuilder};

/// A filter from its root context.
fn with_root(name: &str, root: fn(u32) -> Box<dyn RootContext>) -> Filter {
    Filter::from_fn(name, move || proxy_wasm::set_root_context(root))
}

/// A filter from its stream context.
fn with_http(name: &str, stream: fn(u32, u32) -> Box<dyn HttpContext>) -> Filter {
    Filter::from_fn(name, move || proxy_wasm::set_http_context(stream))
}

fn host(filter: Filter) -> HostBuilder {
    Host::builder().filter(filter)
}

/// The messages that a host logged.
fn said(host: &Host) -> Vec<String> {
    host.logs().into_iter().map(|line| line.message).collect()
}
