//! The behaviour of the policy that users notice.

mod configuration;
mod cookies;
mod cross_site;
mod csp;
mod fields;
mod headers;
mod nonce;
mod presets;
mod rules;
mod strictest;
mod structured;

use bytes::Bytes;
use serde_json::Value;

use super::{Nonce, SecurityHeaders, Selection};
use portcullis_core::config::{self, Errors};
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::Subject;

const RANDOM: [u8; 16] = *b"sixteen octets!!";

fn try_policy(config: &Value) -> Result<SecurityHeaders, Errors> {
    config::read(config.to_string().as_bytes()).map(SecurityHeaders::new)
}

fn policy(config: &Value) -> SecurityHeaders {
    try_policy(config).unwrap_or_else(|errors| panic!("{config}\n{errors}"))
}

/// The errors of a configuration, one a line.
fn errors(config: &Value) -> String {
    match try_policy(config) {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

/// Asserts that each configuration has one error, and that it contains the text.
fn check(table: &[(Value, &str)]) {
    for (config, expected) in table {
        let found = errors(config);
        assert!(
            found.contains(expected),
            "{config}\nfound:    {found}\nexpected: {expected}"
        );
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

fn message<B: Into<Bytes>, const N: usize>(headers: [(&'static str, B); N]) -> HeaderMap {
    let entries = headers
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    HeaderMap::new(entries.collect())
}

/// The headers as `name: value`, in order.
fn lines(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect()
}

/// The lines of one header.
fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The one value of a header.
fn one(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut lines = all(headers, name);
    assert!(lines.len() < 2, "{name}: {lines:?}");
    lines.pop()
}

/// A response after the policy, for a request that matches no rule, over plain HTTP.
fn respond(config: &Value, response: HeaderMap) -> HeaderMap {
    respond_over(false, config, response)
}

fn respond_over(tls: bool, config: &Value, mut response: HeaderMap) -> HeaderMap {
    policy(config).on_response(&Selection::default(), None, tls, &mut response);
    response
}

fn path(path: &'static str) -> HeaderMap {
    message([
        (":method", "GET"),
        (":path", path),
        (":authority", "shop.example"),
    ])
}

fn select(policy: &SecurityHeaders, request: &HeaderMap) -> Selection {
    policy.select(&Subject::new(request, b""))
}

fn nonce_text(nonce: &Nonce) -> String {
    String::from_utf8(nonce.as_bytes().to_vec()).unwrap()
}
