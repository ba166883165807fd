//! The work of a plugin outside of streams: on its timer, and when another service answers a call.

use std::time::Duration;

use portcullis_core::headers::HeaderMap;

use crate::backend::backend;
use crate::error::Error;

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
pub struct CallId(u64);

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
        backend().call(call)
    }

    /// Whether [`call`](Self::call) works in this worker. If not, another worker makes the calls of all.
    pub fn makes_calls(&self) -> bool {
        backend().makes_calls()
    }

    /// Asks the worker that makes the calls to do something about a topic, in its next tick, which follows at once.
    pub fn ask_caller(&mut self, topic: u64) {
        backend().ask_caller(topic);
    }

    /// Whether another worker has [asked](Self::ask_caller) since the last call with this topic.
    pub fn take_asked(&mut self, topic: u64) -> bool {
        backend().take_asked(topic)
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
    /// From the number that Envoy gave the call.
    pub fn new(number: u64) -> Self {
        Self(number)
    }
}
