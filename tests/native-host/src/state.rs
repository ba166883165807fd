//! What is known of one request: shared between the worker, which moves it along, and the host
//! calls of the filters, which look at it and change it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::flags::ResponseFlags;
use crate::headers::Headers;
use crate::message::{Protocol, Request};
use crate::properties::Properties;
use crate::upstream::Route;

/// One request with its response.
#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) request_headers: Headers,
    pub(crate) request_trailers: Headers,
    pub(crate) response_headers: Option<Headers>,
    pub(crate) response_trailers: Option<Headers>,
    pub(crate) info: StreamInfo,
    /// What each filter may see just now, in the order of the chain.
    pub(crate) views: Vec<FilterView>,
}

/// What Envoy keeps about a stream besides its headers.
#[derive(Debug)]
pub(crate) struct StreamInfo {
    /// As the client sent it: `GET / HTTP/1.1`.
    pub(crate) request_line: String,
    pub(crate) started: Duration,
    pub(crate) started_wall: Duration,
    /// Set when the stream is complete.
    pub(crate) duration: Option<Duration>,
    pub(crate) connection_id: u64,
    pub(crate) protocol: Protocol,
    pub(crate) response_code: Option<u16>,
    pub(crate) code_details: Option<Vec<u8>>,
    pub(crate) flags: ResponseFlags,
    /// The route as last resolved.
    pub(crate) route: Option<Arc<Route>>,
    /// The route's cluster, if it exists.
    pub(crate) cluster: Option<String>,
    /// A filter wrote request headers: the route is resolved again before it is next acted on.
    /// Until then properties show the old one.
    pub(crate) route_stale: bool,
    pub(crate) attempts: u32,
    /// How long the last attempt took from its request to its complete response.
    pub(crate) backend_latency: Option<Duration>,
    /// Whether an upstream host has been chosen.
    pub(crate) upstream_chosen: bool,
    pub(crate) bytes_received: usize,
    pub(crate) bytes_sent: usize,
    /// Properties that filters set, under the name they gave (without Envoy's prefix `wasm.`).
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Properties that the test set.
    pub(crate) properties: Properties,
}

/// What one filter may see just now. A map is there only from its callback until the filter lets it
/// go, a body only while the filter holds some of it.
#[derive(Debug, Default)]
pub(crate) struct FilterView {
    pub(crate) request: View,
    pub(crate) response: View,
    /// In on_log, all headers can be read and none written.
    pub(crate) logging: bool,
}

/// One direction of a [`FilterView`].
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) headers: bool,
    pub(crate) trailers: bool,
    pub(crate) body: Option<Vec<u8>>,
}

/// The two ways that things flow through the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl FilterView {
    pub(crate) fn of(&mut self, direction: Direction) -> &mut View {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

impl StreamState {
    pub(crate) fn new(request: &Request, id: u64, filters: usize, now: Now) -> Self {
        let mut request_headers = request.headers.clone();
        if request.exact {
            return Self::with_headers(request_headers, request, id, filters, now);
        }
        for name in EDGE_STRIPS {
            request_headers.remove(name);
        }
        if !request_headers.contains("x-forwarded-proto") {
            let scheme = request_headers.get(":scheme").unwrap_or("http").to_owned();
            request_headers.add("x-forwarded-proto", scheme);
        }
        if !request_headers.contains("x-request-id") {
            request_headers.add("x-request-id", format!("00000000-0000-4000-8000-{id:012x}"));
        }
        Self::with_headers(request_headers, request, id, filters, now)
    }

    fn with_headers(
        request_headers: Headers,
        request: &Request,
        id: u64,
        filters: usize,
        now: Now,
    ) -> Self {
        Self {
            request_headers,
            request_trailers: request.trailers.clone(),
            response_headers: None,
            response_trailers: None,
            info: StreamInfo {
                request_line: format!(
                    "{} {} {}",
                    request.method(),
                    request.path(),
                    request.protocol.name()
                ),
                started: now.monotonic,
                started_wall: now.wall,
                duration: None,
                connection_id: id,
                protocol: request.protocol,
                response_code: None,
                code_details: None,
                flags: ResponseFlags::default(),
                route: None,
                cluster: None,
                route_stale: false,
                attempts: 0,
                backend_latency: None,
                upstream_chosen: false,
                bytes_received: 0,
                bytes_sent: 0,
                filter_state: BTreeMap::new(),
                properties: request.properties.clone(),
            },
            views: (0..filters).map(|_| FilterView::default()).collect(),
        }
    }

    pub(crate) fn is_grpc(&self) -> bool {
        let content_type = self.request_headers.get("content-type").unwrap_or_default();
        content_type == "application/grpc" || content_type.starts_with("application/grpc+")
    }

    pub(crate) fn is_head(&self) -> bool {
        self.request_headers.get(":method") == Some("HEAD")
    }
}

/// Headers that Envoy removes from requests that come from outside: filters may set them, clients
/// may not.
const EDGE_STRIPS: &[&str] = &[
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-max-retries",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
];
