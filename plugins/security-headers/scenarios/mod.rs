//! The behaviour of security-headers that users notice.

mod capabilities;
mod frame_ancestors;
mod requests;
mod responses;
mod revalidation;
mod spellings;

use serde_json::{Value, json};

use crate::{Filter, Response, Scenario};

/// The test with restricted capabilities.
pub(crate) fn capabilities() -> crate::capabilities::Subject {
    capabilities::subject()
}

/// The scenarios of security-headers.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let mut add = |name, config: Value, story| {
        scenarios.push(Scenario {
            name,
            filters: vec![plugin(&config)],
            story,
        });
    };
    add(
        "security_headers::helmet_is_the_default",
        json!({}),
        responses::helmet_is_the_default,
    );
    add(
        "security_headers::hsts_goes_over_tls_only",
        json!({"rules": [{"name": "behind-a-load-balancer",
            "match": {"path": {"prefix": "/lb/"}}, "hsts": {"assume_tls": true}}]}),
        responses::hsts_goes_over_tls_only,
    );
    add(
        "security_headers::the_upstream_wins_unless_overridden",
        json!({"name": "edge", "rules": [{"name": "ours",
            "match": {"path": {"prefix": "/ours/"}}, "override_upstream": true}]}),
        responses::the_upstream_wins_unless_overridden,
    );
    add(
        "security_headers::a_rule_cannot_be_dodged_by_spelling",
        json!({"rules": [{"name": "api", "match": {"path": {"prefix": "/api/"}}, "preset": "api"}]}),
        requests::a_rule_cannot_be_dodged_by_spelling,
    );
    add(
        "security_headers::rules_see_route_host_method_and_headers",
        json!({"preset": "none", "rules": [
            {"name": "route", "match": {"route": "shop"}, "headers": [{"name": "x-rule", "value": "route", "action": "set"}]},
            {"name": "host", "match": {"hosts": ["*.example.org"]}, "headers": [{"name": "x-rule", "value": "host", "action": "set"}]},
            {"name": "method", "match": {"methods": ["DELETE"]}, "headers": [{"name": "x-rule", "value": "method", "action": "set"}]},
            {"name": "header", "match": {"headers": [{"name": "x-beta", "present": true}]}, "headers": [{"name": "x-rule", "value": "header", "action": "set"}]},
            {"name": "regex", "match": {"path": {"regex": "/v[0-9]+/.*"}}, "headers": [{"name": "x-rule", "value": "regex", "action": "set"}]}
        ]}),
        requests::rules_see_route_host_method_and_headers,
    );
    add(
        "security_headers::rules_see_the_address",
        json!({"preset": "none", "rules": [{"name": "outside", "match": {"not": {"remote_address": ["10.0.0.0/8"]}},
            "headers": [{"name": "x-rule", "value": "outside", "action": "set"}]}]}),
        requests::rules_see_the_address,
    );
    add(
        "security_headers::replies_of_envoy_have_them_too",
        json!({"name": "edge"}),
        responses::replies_of_envoy_have_them_too,
    );
    add(
        "security_headers::a_cross_site_post_is_refused",
        json!({"name": "edge", "cross_site": {"mode": "enforce", "trusted_origins": ["https://app.example"]}}),
        requests::a_cross_site_post_is_refused,
    );
    add(
        "security_headers::cross_site_in_shadow_only_counts",
        json!({"name": "edge", "cross_site": {"mode": "shadow"}}),
        requests::cross_site_in_shadow_only_counts,
    );
    add(
        "security_headers::every_response_has_a_nonce_of_its_own",
        json!({"csp": {"directives": {"script-src": ["'self'", "'nonce'"]}}}),
        responses::every_response_has_a_nonce_of_its_own,
    );
    add(
        "security_headers::cookies_get_their_attributes",
        json!({"name": "edge", "cookies": {"secure": true, "http_only": true, "same_site": "Lax", "except": ["csrftoken"]}}),
        responses::cookies_get_their_attributes,
    );
    add(
        "security_headers::header_actions",
        json!({"preset": "none", "headers": [
            {"name": "x-frame-options", "value": "DENY", "action": "set"},
            {"name": "x-app", "value": "shop", "action": "set_if_absent"},
            {"name": "vary", "value": "origin", "action": "append"},
            {"name": "x-powered-by", "action": "remove"}]}),
        responses::header_actions,
    );
    add(
        "security_headers::bytes_that_are_not_text_pass_unharmed",
        json!({"rules": [{"name": "beta", "match": {"headers": [{"name": "x-bytes", "prefix": "v"}]}}],
            "cross_site": {"mode": "enforce"}, "cookies": {"secure": true}}),
        requests::bytes_that_are_not_text_pass_unharmed,
    );
    add(
        "security_headers::shadow_changes_nothing",
        json!({"name": "edge", "mode": "shadow", "cross_site": {"mode": "enforce"},
            "csp": {"directives": {"script-src": ["'nonce'"]}}}),
        requests::shadow_changes_nothing,
    );
    add(
        "security_headers::off_does_nothing",
        json!({"name": "edge", "rules": [{"name": "assets",
            "match": {"path": {"prefix": "/assets/"}}, "mode": "off"}]}),
        requests::off_does_nothing,
    );
    scenarios.push(Scenario {
        name: "security_headers::refusals_of_filters_behind_have_them_too",
        filters: vec![plugin(&json!({})), Filter::DenyAll],
        story: responses::refusals_of_filters_behind_have_them_too,
    });
    scenarios.extend(spellings::scenarios());
    scenarios.extend(revalidation::scenarios());
    scenarios.extend(frame_ancestors::scenarios());
    scenarios
}

fn plugin(config: &Value) -> Filter {
    Filter::Plugin {
        module: "security_headers",
        config: config.to_string(),
    }
}

fn counter(labels: &[(&str, &str)], metric: &str) -> String {
    crate::counter("security_headers", "edge", labels, metric)
}

/// helmet 8.3's headers without HSTS, which does not belong on a plain connection.
const HELMET: [(&str, &str); 11] = [
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
    ("x-content-type-options", "nosniff"),
    ("x-dns-prefetch-control", "off"),
    ("x-download-options", "noopen"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-xss-protection", "0"),
];

/// If cross-site requests are refused, pages must not hide the origin of their own forms.
fn assert_helmet_with_checks(response: &Response) {
    for (name, value) in HELMET {
        let value = match name {
            "referrer-policy" => "same-origin",
            _ => value,
        };
        assert_eq!(response.get_header(name).as_deref(), Some(value), "{name}");
    }
}

fn assert_helmet(response: &Response) {
    for (name, value) in HELMET {
        assert_eq!(response.get_header(name).as_deref(), Some(value), "{name}");
    }
}
