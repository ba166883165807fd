//! What came of a request.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::flags::ResponseFlags;
use crate::message::{Request, Response};
use crate::properties::{Scope, Visible};
use crate::shared::Shared;
use crate::state::StreamState;
use crate::sync::lock;

/// A request that is over: what the client got, what the upstream got, and what an access log would
/// say.
pub struct Outcome {
    pub(crate) received: Received,
    pub(crate) upstream: Vec<Request>,
    pub(crate) trace: Vec<Callback>,
    pub(crate) state: Arc<Mutex<StreamState>>,
    pub(crate) shared: Arc<Shared>,
}

/// What the client got.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) response: Option<Response>,
    pub(crate) broken_off: bool,
}

/// A callback that a filter got for a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The name of the filter.
    pub filter: String,
    /// The callback's name in the ABI, without `proxy_on_`: `request_headers`, `request_body`,
    /// `request_trailers`, the same of `response`, `log`, `done`, `delete`.
    pub name: &'static str,
}

impl Outcome {
    /// The response as the client got it, or as much of it as it got.
    ///
    /// # Panics
    /// If the client got none; see [`try_response`](Self::try_response).
    pub fn response(&self) -> &Response {
        match &self.received.response {
            Some(response) => response,
            None => panic!("the client got no response: {self:?}"),
        }
    }

    /// The response as the client got it, if it got any.
    pub fn try_response(&self) -> Option<&Response> {
        self.received.response.as_ref()
    }

    /// The status code that the client got.
    ///
    /// # Panics
    /// If the client got none.
    pub fn status(&self) -> u16 {
        self.response().status()
    }

    /// Whether the stream ended before the response was complete, whoever ended it.
    pub fn was_broken_off(&self) -> bool {
        self.received.broken_off
    }

    /// The request as the upstream got it, in its last attempt; none if it never got there.
    pub fn upstream_request(&self) -> Option<&Request> {
        self.upstream.last()
    }

    /// The request of every attempt.
    pub fn upstream_requests(&self) -> &[Request] {
        &self.upstream
    }

    /// Envoy's response flags.
    pub fn flags(&self) -> ResponseFlags {
        lock(&self.state).info.flags
    }

    /// Why the response is what it is: `via_upstream`, `route_not_found` …
    pub fn code_details(&self) -> Option<String> {
        let state = lock(&self.state);
        let details = state.info.code_details.as_deref()?;
        Some(String::from_utf8_lossy(details).into_owned())
    }

    /// A property, by its dotted path, as a filter would read it in on_log.
    pub fn property(&self, path: &str) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        let scope = Scope {
            plugin_name: "",
            root_id: "",
            vm_id: "",
            defaults: &self.shared.properties,
            stream: Some((&state, Visible::ALL)),
        };
        scope.get(path.replace('.', "\0").as_bytes()).ok()
    }

    /// What filters left with `set_property` under this name.
    pub fn filter_state(&self, name: &str) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        state.info.filter_state.get(name.as_bytes()).cloned()
    }

    /// Every callback of every filter, in order.
    pub fn trace(&self) -> &[Callback] {
        &self.trace
    }

    /// The callbacks of one filter, in order.
    pub fn callbacks(&self, filter: &str) -> Vec<&'static str> {
        let of_filter = self
            .trace
            .iter()
            .filter(|callback| callback.filter == filter);
        of_filter.map(|callback| callback.name).collect()
    }
}

/// Like a line of an access log.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("response", &self.received.response)
            .field("broken_off", &self.received.broken_off)
            .field("flags", &self.flags().to_string())
            .field("code_details", &self.code_details())
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}
