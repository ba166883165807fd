//! What a plugin does outside of streams: on its timer, and when a call is answered.

use std::time::Duration;

use portcullis_core::headers::HeaderMap;

use crate::abi::{self, Map, Status};
use crate::exchange::Error;
use crate::header_codec;

/// A request of the plugin's own, to a cluster that Envoy knows.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The headers, with `:method`, `:scheme`, `:authority` and `:path`.
    pub headers: &'a [(&'a str, &'a str)],
    /// For how long to wait for the whole response. Envoy then answers in its place, with 504.
    pub timeout: Duration,
}

/// Which call a response belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u32);

/// What came of a call. Envoy itself answers when nobody can be reached (503) or in time (504).
#[derive(Clone, Debug)]
pub struct CallResponse {
    /// The headers with `:status`; `None` if the response broke off.
    pub headers: Option<HeaderMap>,
    /// The body, up to one byte more than was asked for.
    pub body: Vec<u8>,
}

impl CallResponse {
    /// The status, if there is a whole response.
    pub fn status(&self) -> Option<u16> {
        let status = self.headers.as_ref()?.get(":status")?;
        std::str::from_utf8(status).ok()?.parse().ok()
    }
}

/// The plugin on one worker, while no stream is looked at.
#[derive(Debug, Default)]
pub struct Worker {
    wakes: bool,
    failures: Vec<(&'static str, Error)>,
}

impl Worker {
    /// Sends a request. The response comes to
    /// [`Plugin::on_call_response`](crate::Plugin::on_call_response).
    pub fn call(&mut self, call: &Call<'_>) -> Result<CallId, Error> {
        // The SDK hands on the responses of those calls only that were made through it. It panics on
        // a status other than these two, and Envoy returns no other.
        #[expect(clippy::disallowed_methods, reason = "the way to be called back")]
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

    /// Lets [`Plugin::on_request`](crate::Plugin::on_request) look anew at the requests that wait.
    pub fn wake(&mut self) {
        self.wakes = true;
    }

    /// The value of a result, or the default in place of an error, which is noted for the log.
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

/// The response whose callback runs. Of the body, `max_body` bytes and one more are read, which tells
/// that it is too large.
pub(crate) fn call_response(has_headers: bool, max_body: usize) -> CallResponse {
    let headers = has_headers
        .then(|| abi::header_map(Map::CallResponseHeaders).ok())
        .flatten()
        .and_then(header_codec::decode)
        .map(HeaderMap::new);
    // A response without a body has no buffer.
    let body = abi::call_response_body(max_body.saturating_add(1)).unwrap_or_default();
    CallResponse { headers, body }
}
