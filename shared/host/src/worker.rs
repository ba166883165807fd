//! The work of a plugin outside of streams: on its timer, and when another service answers a call.

use std::time::Duration;

use portcullis_core::headers::HeaderMap;

use crate::abi::{self, MapKind, Status};
use crate::error::Error;
use crate::header_codec;

/// An HTTP request from the plugin to one of Envoy's clusters.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The headers, with `:method`, `:scheme`, `:authority` and `:path`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The time limit for the whole response. After it, Envoy answers with 504.
    pub timeout: Duration,
}

/// Identifies a call, to match its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u32);

/// The response to a call. If the cluster cannot be reached, Envoy answers with 503; after the timeout, with 504.
#[derive(Clone, Debug)]
pub struct CallResponse {
    /// The headers, with `:status`; `None` if the response was cut off.
    pub headers: Option<HeaderMap>,
    /// The body, truncated to one byte more than [`Plugin::max_call_body`](crate::Plugin::max_call_body).
    pub body: Vec<u8>,
}

impl CallResponse {
    /// The status, if the response is whole.
    pub fn status(&self) -> Option<u16> {
        let status = self.headers.as_ref()?.get(":status")?;
        std::str::from_utf8(status).ok()?.parse().ok()
    }
}

/// Access to Envoy outside of streams, on one worker.
#[derive(Debug, Default)]
pub struct Worker {
    wakes: bool,
    failures: Vec<(&'static str, Error)>,
}

impl Worker {
    /// Sends a request. [`Plugin::on_call_response`](crate::Plugin::on_call_response) receives the response.
    pub fn call(&mut self, call: &Call<'_>) -> Result<CallId, Error> {
        // The SDK delivers only the responses of calls that were made through it. It panics on any status other than
        // BadArgument and InternalFailure, and Envoy returns no other.
        #[expect(
            clippy::disallowed_methods,
            reason = "the SDK would not deliver the response otherwise"
        )]
        let dispatched = proxy_wasm::hostcalls::dispatch_http_call(
            call.cluster,
            call.headers.to_vec(),
            None,
            Vec::new(),
            call.timeout,
        );
        dispatched
            .map(CallId)
            .map_err(|status| Error::of("proxy_http_call")(Status::from(status as u32)))
    }

    /// Wakes the waiting requests: [`Plugin::on_request`](crate::Plugin::on_request) judges them again.
    pub fn wake(&mut self) {
        self.wakes = true;
    }

    /// The value of a result. An error goes to the log, and the default takes its place.
    pub fn unwrap_or_warn<T: Default>(
        &mut self,
        plugin: &'static str,
        result: Result<T, Error>,
    ) -> T {
        result.unwrap_or_else(|error| {
            self.failures.push((plugin, error));
            T::default()
        })
    }

    pub(crate) fn wakes(&self) -> bool {
        self.wakes
    }

    pub(crate) fn failures(&self) -> &[(&'static str, Error)] {
        &self.failures
    }
}

impl CallId {
    pub(crate) fn new(token: u32) -> Self {
        Self(token)
    }
}

/// Reads the response whose callback runs. Of the body, it reads up to `max_body` bytes and one more, which shows
/// that the body is too large.
pub(crate) fn call_response(has_headers: bool, max_body: usize) -> CallResponse {
    let headers = has_headers
        .then(|| abi::header_map(MapKind::CallResponseHeaders).ok())
        .flatten()
        .and_then(header_codec::decode)
        .map(HeaderMap::new);
    // A response without a body has no buffer.
    let body = abi::call_response_body(max_body.saturating_add(1)).unwrap_or_default();
    CallResponse { headers, body }
}
