//! The limiters of a fleet that are compared.

use std::net::SocketAddr;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::bootstrap::cluster;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::{LibraryFilter, WasmFilter};
use portcullis_envoy_tests::fleet::SERVICE;
use serde_json::{Value, json};

use super::LIMIT;
use crate::subject::KEY;

/// The entry of the descriptor.
pub(super) const ENTRY: &str = "api_key";
/// Long enough for a busy machine.
const TIMEOUT: &str = "5s";
/// Of each proxy.
const WORKERS: u32 = 2;
/// The cluster of the backend.
const BACKEND: &str = "backend";

/// What limits the requests to a proxy.
pub(super) struct Variant {
    pub(super) name: String,
    limiter: Limiter,
    pub(super) waits: Waits,
}

/// Which requests wait for the service.
#[derive(Clone, Copy)]
pub(super) enum Waits {
    /// The service is not asked.
    Never,
    /// Those without a lease.
    Sometimes,
    Always,
}

enum Limiter {
    Nothing,
    /// Envoy's own filter.
    Native,
    /// rate-limit with this limit.
    Wasm(Value),
    Library(Value),
}

/// All of them: first no limit. Without the library's file, it is left out.
pub(super) fn all(without_wasm: bool) -> Vec<Variant> {
    let variant = |name: &str, limiter, waits| Variant {
        name: name.to_owned(),
        limiter,
        waits,
    };
    let mut all = vec![
        variant("no limit", Limiter::Nothing, Waits::Never),
        variant("Envoy's ratelimit filter", Limiter::Native, Waits::Always),
    ];
    let has_library = artifacts::library().is_file();
    for (name, configuration, waits) in [
        ("a limit of each proxy", local(), Waits::Never),
        ("`lease`", fleet("lease"), Waits::Sometimes),
        ("`each`", fleet("each"), Waits::Always),
    ] {
        if !without_wasm {
            let limiter = Limiter::Wasm(configuration.clone());
            all.push(variant(name, limiter, waits));
        }
        if has_library {
            let name = format!("{name}, library");
            all.push(variant(&name, Limiter::Library(configuration), waits));
        }
    }
    all
}

/// The configuration of a limit without a fleet.
fn local() -> Value {
    json!({
        "name": "edge",
        "limits": [{
            "name": "per-tenant",
            "key": [{"header": KEY}],
            "algorithm": "fixed_window",
            "rate": {"requests": LIMIT, "per": "1m"},
        }],
    })
}

/// The same with a fleet.
fn fleet(mode: &str) -> Value {
    json!({
        "name": "edge",
        "services": {"main": {"cluster": SERVICE, "domain": "edge", "timeout": TIMEOUT}},
        "limits": [{
            "name": "per-tenant",
            "key": [{"header": KEY}],
            "algorithm": "fixed_window",
            "rate": {"requests": LIMIT, "per": "1m"},
            "fleet": {"service": "main", "descriptor": [ENTRY], "mode": mode, "on_outage": "deny"},
        }],
    })
}

impl Variant {
    /// A proxy before this backend.
    pub(super) fn builder(&self, backend: SocketAddr) -> Builder {
        let builder = Envoy::builder()
            .concurrency(WORKERS)
            .connection_manager(json!({"access_log": []}))
            .cluster(cluster(BACKEND, backend));
        let (builder, of_route) = match &self.limiter {
            Limiter::Nothing => (builder, json!({})),
            Limiter::Native => {
                let of_route = json!({RATELIMIT: native_descriptor()});
                (builder.native(native_filter()), of_route)
            }
            Limiter::Wasm(configuration) => {
                let plugin = WasmFilter::plugin("rate-limit");
                let plugin = plugin.configuration(&configuration.to_string());
                (builder.plugin(&plugin), json!({}))
            }
            Limiter::Library(configuration) => {
                let plugin = LibraryFilter::plugin("rate-limit");
                let plugin = plugin.configuration(&configuration.to_string());
                (builder.plugin(&plugin), json!({}))
            }
        };
        builder.route(json!({
            "match": {"prefix": "/"},
            "route": {"cluster": BACKEND},
            "typed_per_filter_config": of_route,
        }))
    }
}

const RATELIMIT: &str = "envoy.filters.http.ratelimit";

fn native_filter() -> Value {
    json!({
        "name": RATELIMIT,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            "domain": "edge",
            "timeout": TIMEOUT,
            "failure_mode_deny": true,
            "rate_limit_service": {
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": SERVICE}},
            },
        },
    })
}

fn native_descriptor() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        "rate_limits": [{
            "actions": [{"request_headers": {"header_name": KEY, "descriptor_key": ENTRY}}],
        }],
    })
}
