//! security-headers, next to other ways to set the same number of headers.

use serde_json::{Value, json};

use super::{Filter, Partner, Variant, lua};

pub(super) fn variants() -> Vec<Variant> {
    let variant = |id, name, filter| {
        Variant::new(id, name, filter, |_, response| {
            response.header("x-frame-options").is_some()
        })
    };
    let plugin = |id, name, configuration| {
        variant(id, name, Filter::plugin("security_headers", configuration))
    };
    vec![
        variant(
            "header_mutation",
            "native header_mutation, 12 headers",
            Filter::Native(vec![header_mutation()]),
        ),
        variant("lua", "Lua, 12 headers", lua(&script())),
        // 11 headers, on a plain connection.
        plugin("helmet", "security-headers, helmet", json!({}))
            .compared_with(const { &[Partner::at_most(1.0, &["header_mutation"])] }),
        plugin("rules", "security-headers, ten rules", rules()),
        plugin(
            "nonce",
            "security-headers, nonce",
            json!({"csp": {"directives": {"script-src": ["'self'", "'nonce'"]}}}),
        ),
    ]
}

/// The request matches the last of ten rules.
fn rules() -> Value {
    let prefixes = [
        "/admin/", "/api/", "/assets/", "/auth/", "/blog/", "/docs/", "/feed/", "/help/", "/img/",
        "/shop/",
    ];
    let rules = prefixes.map(|prefix| {
        json!({
            "name": prefix.trim_matches('/'),
            "match": {"path": {"prefix": prefix}},
            "headers": [{"name": "x-rule", "value": prefix, "action": "set"}],
        })
    });
    json!({"cross_site": {"mode": "enforce"}, "rules": rules})
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

pub(super) fn header_mutation() -> Value {
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

fn script() -> String {
    let replace: String = HEADERS
        .iter()
        .map(|(name, value)| format!("  headers:replace(\"{name}\", \"{value}\")\n"))
        .collect();
    format!(
        "function envoy_on_response(handle)\n  local headers = handle:headers()\n{replace}end\n"
    )
}
