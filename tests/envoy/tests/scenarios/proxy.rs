//! The Envoy of a scenario: its filters, routes and clusters.

use std::path::Path;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::bootstrap::{self, UPSTREAM};
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::mortal;
use portcullis_envoy_tests::upstream::Upstream;
use portcullis_scenarios::{
    Cluster, DEFAULT_ROUTE, Filter, HASTE, HASTY_PREFIX, HASTY_ROUTE, NO_ROUTE_PREFIX,
    OTHER_PREFIX, OTHER_ROUTE, PRIVATE_ROUTE, PUBLIC_ROUTE, PUBLIC_TIER, RETRIED_PREFIX,
    RETRIED_ROUTE, RETRIES, RETRY_ON, SHOP_PREFIX, SHOP_ROUTE, TIER_HEADER, TIER_PREFIX,
};
use serde_json::{Value, json};

/// An Envoy with those filters, and with the clusters of those services besides the upstream.
pub(crate) fn builder<'a>(
    filters: &[Filter],
    services: impl Iterator<Item = (&'a Cluster, &'a Upstream)>,
) -> Builder {
    fixed(filters, services).replaceable_listeners()
}

/// The same, but it starts only if all filters accept their configuration, and keeps them.
pub(crate) fn fixed<'a>(
    filters: &[Filter],
    services: impl Iterator<Item = (&'a Cluster, &'a Upstream)>,
) -> Builder {
    let builder = Envoy::builder()
        .tls()
        .connection_manager(json!({"route_config": routes()}));
    let builder = services.fold(builder, |builder, (cluster, service)| {
        builder.cluster(bootstrap::cluster(cluster.name(), service.address()))
    });
    filters.iter().fold(builder, add)
}

/// The routes that every world has. `NO_ROUTE_PREFIX` is left out on the path as it came, because
/// odd spellings of it, which are not below it, lead to the upstream like all others.
fn routes() -> Value {
    let upstream = json!({"cluster": UPSTREAM});
    let retrying = json!({
        "cluster": UPSTREAM,
        "retry_policy": {
            "retry_on": RETRY_ON,
            "num_retries": RETRIES,
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
        },
    });
    let hasty = json!({"cluster": UPSTREAM, "timeout": format!("{}s", HASTE.as_secs_f64())});
    let prefix = |prefix: &str| json!({"prefix": prefix});
    let public = json!({
        "prefix": TIER_PREFIX,
        "headers": [{"name": TIER_HEADER, "string_match": {"exact": PUBLIC_TIER}}],
    });
    let elsewhere = json!({
        "prefix": "/",
        "headers": [{
            "name": ":path",
            "string_match": {"prefix": NO_ROUTE_PREFIX},
            "invert_match": true,
        }],
    });
    let route = |name: &str, matches: Value, action: &Value| json!({"name": name, "match": matches, "route": action});
    json!({"virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "include_request_attempt_count": true,
        "include_attempt_count_in_response": true,
        "routes": [
            route(SHOP_ROUTE, prefix(SHOP_PREFIX), &upstream),
            route(OTHER_ROUTE, prefix(OTHER_PREFIX), &json!({"cluster": Cluster::Other.name()})),
            route(RETRIED_ROUTE, prefix(RETRIED_PREFIX), &retrying),
            route(HASTY_ROUTE, prefix(HASTY_PREFIX), &hasty),
            route(PUBLIC_ROUTE, public, &upstream),
            route(PRIVATE_ROUTE, prefix(TIER_PREFIX), &json!({"cluster": Cluster::Other.name()})),
            route(DEFAULT_ROUTE, elsewhere, &upstream),
        ],
    }]})
}

fn add(builder: Builder, filter: &Filter) -> Builder {
    match filter {
        Filter::Plugin { module, config } => {
            builder.wasm(&WasmFilter::plugin(module).configuration(config))
        }
        Filter::MortalPlugin { module, config } => {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let copy = mortal::copy(&artifacts::module(module), directory);
            builder.wasm(&WasmFilter::module(module, copy).configuration(config))
        }
        Filter::Restricted {
            module,
            config,
            without,
        } => {
            let whole = WasmFilter::plugin(module).configuration(config);
            let restricted = without
                .iter()
                .fold(whole, |plugin, name| plugin.without_capability(name));
            builder.wasm(&restricted)
        }
        Filter::Claims => builder.wasm(&WasmFilter::module("claims", artifacts::claims_filter())),
        Filter::DenyAll => builder.native(json!({
            "name": "deny-all",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {"action": "DENY", "policies": {"all": {
                    "permissions": [{"any": true}],
                    "principals": [{"any": true}],
                }}},
            },
        })),
    }
}
