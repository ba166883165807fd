//! The Envoy of a scenario: its filters, routes and clusters.

use std::path::Path;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::bootstrap::{self, UPSTREAM};
use portcullis_envoy_tests::crashable;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::filter::{HttpFilter, LibraryFilter, PluginFilter, WasmFilter};
use portcullis_envoy_tests::upstream::Upstream;
use portcullis_scenarios::placement::{Host, MODULE, ORDER};
use portcullis_scenarios::tokens::{Algorithm, Issuer};
use portcullis_scenarios::{
    Cluster, DEFAULT_ROUTE, Filter, NO_ROUTE_PREFIX, OTHER_PREFIX, OTHER_ROUTE, PRIVATE_ROUTE,
    PUBLIC_ROUTE, PUBLIC_TIER, RETRIED_PREFIX, RETRIED_ROUTE, RETRIES, RETRY_ON, SHOP_PREFIX,
    SHOP_ROUTE, SHORT_TIMEOUT, SHORT_TIMEOUT_PREFIX, SHORT_TIMEOUT_ROUTE, TIER_HEADER, TIER_PREFIX,
    USAGE_HEADER, USAGE_KEY, USAGE_NAMESPACE,
};
use serde_json::{Value, json};

use crate::pool::Modules;

/// The module that stands in for jwt-auth.
const CLAIMS: &str = "claims";
/// The listener and the VMs that keep modules loaded.
const LOADED: &str = "loaded";

/// Adds filters, whose VMs have this id.
pub(crate) fn with_filters(builder: Builder, vm_id: &str, filters: &[Filter]) -> Builder {
    let add = |builder, filter: &Filter| add(builder, vm_id, filter);
    filters.iter().fold(builder, add)
}

/// An Envoy without filters, with the clusters of those services besides the upstream.
pub(crate) fn without_filters<'a>(
    services: impl Iterator<Item = (&'a Cluster, &'a Upstream)>,
) -> Builder {
    let builder = Envoy::builder()
        .tls()
        .connection_manager(json!({"route_config": routes()}));
    let builder = services.fold(builder, |builder, (cluster, service)| {
        builder.cluster(bootstrap::cluster(cluster.name(), service.address()))
    });
    builder.replaceable_listeners()
}

/// Keeps these modules loaded, for a listener without clients.
pub(crate) fn with_modules(builder: Builder, modules: &Modules) -> Builder {
    let filters = modules.iter().map(|module| idle(module).to_json());
    let manager = bootstrap::connection_manager(filters.collect());
    builder.listener(bootstrap::listener(LOADED, &manager))
}

/// The routes of every world. `NO_ROUTE_PREFIX` is excluded by the path as received, because other spellings of it lead to
/// the upstream, like all other paths.
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
    let hasty =
        json!({"cluster": UPSTREAM, "timeout": format!("{}s", SHORT_TIMEOUT.as_secs_f64())});
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
            route(SHORT_TIMEOUT_ROUTE, prefix(SHORT_TIMEOUT_PREFIX), &hasty),
            route(PUBLIC_ROUTE, public, &upstream),
            route(PRIVATE_ROUTE, prefix(TIER_PREFIX), &json!({"cluster": Cluster::Other.name()})),
            route(DEFAULT_ROUTE, elsewhere, &upstream),
        ],
    }]})
}

fn add(builder: Builder, vm_id: &str, filter: &Filter) -> Builder {
    match filter {
        Filter::Plugin { module, config } => {
            let plugin = PluginFilter::new(module).configuration(config);
            builder.plugin(&plugin.vm_id(vm_id))
        }
        Filter::CrashablePlugin { module, config } => {
            let plugin = crashable(module).configuration(config);
            builder.plugin(&plugin.vm_id(vm_id))
        }
        Filter::Restricted {
            module,
            config,
            without,
        } => {
            let whole = WasmFilter::plugin(module).configuration(config);
            let plugin = without
                .iter()
                .fold(whole, |plugin, name| plugin.without_capability(name));
            builder.plugin(&plugin.vm_id(vm_id))
        }
        Filter::Claims => match Host::chosen() {
            Host::Wasm => builder.plugin(&claims().vm_id(vm_id)),
            Host::Library => claims_as_string()
                .into_iter()
                .fold(builder, Builder::native),
        },
        Filter::DenyAll => builder.native(deny_all()),
        Filter::Usage => builder.native(usage()),
    }
}

fn crashable(module: &str) -> PluginFilter {
    match Host::chosen() {
        Host::Wasm => {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let copy = crashable::copy(&artifacts::module(module), directory);
            PluginFilter::Wasm(WasmFilter::module(module, copy))
        }
        Host::Library => PluginFilter::Library(LibraryFilter::crashable(module)),
    }
}

fn claims() -> WasmFilter {
    WasmFilter::module(CLAIMS, artifacts::claims_filter())
}

/// What [`claims`] does, by Envoy's own filters: those values that wasm modules pass on, a library cannot read. A header
/// carries the token to the filter that makes it a string in the filter state.
fn claims_as_string() -> [Value; 3] {
    let script = r#"
        function envoy_on_request(handle)
          local headers = handle:headers()
          headers:remove("x-claims")
          local token = (headers:get("authorization") or ""):match("^Bearer (.*)$")
          if token then headers:add("x-claims", token) end
        end
    "#;
    let lua = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": script},
    });
    let state = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
        "on_request_headers": [{
            "object_key": "wasm.portcullis.jwt.claims",
            "factory_key": "envoy.string",
            "format_string": {
                "text_format_source": {"inline_string": "%REQ(x-claims)%"},
                "omit_empty_values": true,
            },
            "skip_if_empty": true,
        }],
    });
    let mutation = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        "mutations": {"request_mutations": [{"remove": "x-claims"}]},
    });
    [("token", lua), ("claims", state), ("no-token", mutation)]
        .map(|(name, config)| json!({"name": name, "typed_config": config}))
}

fn usage() -> Value {
    json!({
        "name": "usage",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
            "response_rules": [{
                "header": USAGE_HEADER,
                "on_header_present": {
                    "metadata_namespace": USAGE_NAMESPACE,
                    "key": USAGE_KEY,
                    "type": "NUMBER",
                },
            }],
        },
    })
}

fn deny_all() -> Value {
    json!({
        "name": "deny-all",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"all": {
                "permissions": [{"any": true}],
                "principals": [{"any": true}],
            }}},
        },
    })
}

/// The modules of these filters.
pub(crate) fn modules(filters: &[Filter]) -> Modules {
    let module = |filter: &Filter| match filter {
        Filter::Plugin { module, .. } => Some((*module).to_owned()),
        Filter::Restricted { module, .. } => Some(module.clone()),
        Filter::Claims => Some(CLAIMS.to_owned()),
        Filter::CrashablePlugin { .. } | Filter::DenyAll | Filter::Usage => None,
    };
    filters.iter().filter_map(module).collect()
}

/// A filter of a module, with a configuration under which it does nothing on its own.
fn idle(module: &str) -> WasmFilter {
    let filter = match module {
        CLAIMS => claims(),
        MODULE => {
            let members = ORDER.map(|member| (member.to_owned(), idle_configuration(member)));
            let members = Value::Object(members.into_iter().collect());
            WasmFilter::plugin(module).configuration(&members.to_string())
        }
        _ => WasmFilter::plugin(module).configuration(&idle_configuration(module).to_string()),
    };
    filter.vm_id(LOADED)
}

fn idle_configuration(plugin: &str) -> Value {
    match plugin {
        "jwt_auth" => json!({
            "name": LOADED,
            "providers": {"a": {
                "issuer": "a", "audiences": ["a"],
                "jwks": {"inline": Issuer::new("a", Algorithm::ES256).jwks()},
            }},
            "rules": [{"name": "a", "require": {"provider": "a"}}],
        }),
        "rate_limit" => json!({
            "name": LOADED,
            "limits": [{"name": "a", "key": ["method"], "rate": {"requests": 1, "per": "1s"}}],
        }),
        "circuit_breaker" => {
            json!({"name": LOADED, "breakers": [{"name": "a", "consecutive_failures": 1}]})
        }
        "retry_budget" => json!({"name": LOADED, "budgets": [{"name": "a"}]}),
        _ => json!({"name": LOADED}),
    }
}
