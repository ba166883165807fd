//! A running variant, and its load.

use portcullis_envoy_tests::bootstrap::PLAIN;
use portcullis_envoy_tests::envoy::{Builder, Envoy};
use portcullis_envoy_tests::load;
use portcullis_envoy_tests::message::Request;
use serde_json::json;

use crate::variants::{Credentials, Variant};

/// The request header in the keys of rate-limit's variants.
pub(crate) const KEY: &str = "x-api-key";

pub(crate) struct Subject {
    pub(crate) variant: Variant,
    pub(crate) envoy: Envoy,
    /// Number of requests so far.
    requests: usize,
}

impl Subject {
    /// Starts an Envoy with the variant's filter, which answers directly if it has no upstream, and checks with one
    /// request that the filter works.
    pub(crate) fn start(variant: Variant, has_upstream: bool, envoy: Builder) -> Self {
        let answer = json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "hello"}},
        });
        let builder = envoy.connection_manager(json!({"access_log": []}));
        let builder = match has_upstream {
            true => builder,
            false => builder.route(answer),
        };
        let envoy = variant.filter.add_to(builder).start();
        let response = envoy
            .client()
            .send(&request(0, variant.credentials.as_ref()));
        assert!(
            (variant.works)(&envoy, &response),
            "{} does not do what is to be measured: {response:?}",
            variant.name
        );
        Self {
            variant,
            envoy,
            requests: 0,
        }
    }

    /// Sends a number of requests over a number of connections.
    pub(crate) fn send(&mut self, requests: usize, connections: usize) {
        let (keys, expected) = (self.variant.keys, self.variant.status);
        let (credentials, first) = (self.variant.credentials.clone(), self.requests);
        self.requests += requests;
        let address = self.envoy.address(PLAIN);
        let statuses = load::run(address, connections, requests, move |number| {
            request(scattered(first + number) % keys, credentials.as_ref())
        });
        let name = &self.variant.name;
        let statuses = statuses.unwrap_or_else(|error| panic!("{name}: {error}"));
        let other = statuses.iter().find(|status| **status != expected);
        assert_eq!(other, None, "{name}: not every response was a {expected}");
    }
}

/// Scrambles a number (a part of the finaliser of SplitMix64).
fn scattered(number: usize) -> usize {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// A request like a browser's, with a key.
fn request(key: usize, credentials: Option<&Credentials>) -> Request {
    let request = Request::get("/shop/cart?item=1")
        .header("host", "shop.example")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header(
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", "session=0123456789abcdef; theme=dark")
        .header(KEY, format!("{key:016x}"));
    match credentials {
        None => request,
        Some(credentials) => request.header("authorization", credentials(key)),
    }
}
