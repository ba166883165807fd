//! What is compared.

use std::path::Path;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::envoy::Builder;
use portcullis_envoy_tests::filter::WasmFilter;
use serde_json::{Value, json};

use crate::options::Options;

/// The variants that can be chosen. The Envoy without filters and the one with the empty filter
/// are always there, since all others are compared with them.
pub(crate) const NAMES: [&str; 5] = ["header_mutation", "lua", "helmet", "rules", "nonce"];

/// One Envoy of the comparison.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) filter: Filter,
    /// Whether responses are to have security headers then.
    pub(crate) sets_headers: bool,
}

/// What that Envoy has before its router.
pub(crate) enum Filter {
    Nothing,
    Native(Value),
    Wasm(WasmFilter),
}

impl Filter {
    pub(crate) fn add_to(&self, envoy: Builder) -> Builder {
        match self {
            Self::Nothing => envoy,
            Self::Native(filter) => envoy.native(filter.clone()),
            Self::Wasm(filter) => envoy.wasm(filter),
        }
    }
}

/// The variants to measure: the Envoy without filters, the one with the empty filter, and those
/// that were asked for.
pub(crate) fn chosen(options: &Options) -> impl Iterator<Item = Variant> {
    let mut variants = vec![
        Variant {
            name: "no filter".to_owned(),
            filter: Filter::Nothing,
            sets_headers: false,
        },
        Variant {
            name: "empty wasm filter".to_owned(),
            filter: Filter::Wasm(WasmFilter::module("empty", artifacts::empty_filter())),
            sets_headers: false,
        },
    ];
    let wanted =
        |name: &&str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    for name in NAMES.into_iter().filter(wanted) {
        let mut add = |name: &str, filter| {
            variants.push(Variant {
                name: name.to_owned(),
                filter,
                sets_headers: true,
            });
        };
        match (name, security_headers(name)) {
            (_, Some(configuration)) => {
                let with = |module: &Path| {
                    let filter = WasmFilter::module("security-headers", module);
                    Filter::Wasm(filter.configuration(&configuration.to_string()))
                };
                add(
                    &format!("security-headers, {name}"),
                    with(&artifacts::module("security-headers")),
                );
                if let Some(other) = &options.against {
                    add(&format!("security-headers, {name}, the other"), with(other));
                }
            }
            ("lua", None) => add("Lua, 12 headers", Filter::Native(lua())),
            _ => add(
                "native header_mutation, 12 headers",
                Filter::Native(header_mutation()),
            ),
        }
    }
    variants.into_iter()
}

/// The configuration of security-headers of that name.
fn security_headers(name: &str) -> Option<Value> {
    match name {
        // 11 headers, on a plain connection.
        "helmet" => Some(json!({})),
        // The request fits the last of ten.
        "rules" => {
            let rules: Vec<Value> = [
                "/admin/", "/api/", "/assets/", "/auth/", "/blog/", "/docs/", "/feed/", "/help/",
                "/img/", "/shop/",
            ]
            .iter()
            .map(|prefix| {
                json!({
                    "name": prefix.trim_matches('/'),
                    "match": {"path": {"prefix": prefix}},
                    "headers": [{"name": "x-rule", "value": prefix, "action": "set"}],
                })
            })
            .collect();
            Some(json!({"cross_site": {"mode": "enforce"}, "rules": rules}))
        }
        "nonce" => Some(json!({"csp": {"directives": {"script-src": ["'self'", "'nonce'"]}}})),
        _ => None,
    }
}

/// Those of helmet.
const HEADERS: [(&str, &str); 12] = [
    (
        "content-security-policy",
        "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';\
         frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';\
         script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("referrer-policy", "no-referrer"),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-dns-prefetch-control", "off"),
    ("x-download-options", "noopen"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-xss-protection", "0"),
];

fn header_mutation() -> Value {
    let mutations = HEADERS.map(|(name, value)| {
        json!({"append": {
            "header": {"key": name, "value": value},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }})
    });
    json!({
        "name": "header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"response_mutations": mutations},
        },
    })
}

fn lua() -> Value {
    let replace: String = HEADERS
        .iter()
        .map(|(name, value)| format!("  headers:replace(\"{name}\", \"{value}\")\n"))
        .collect();
    let script = format!(
        "function envoy_on_response(handle)\n  local headers = handle:headers()\n{replace}end\n"
    );
    json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    })
}
