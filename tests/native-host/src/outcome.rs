//! What came of a request.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::flags::ResponseFlags;
use crate::logs::LogLine;
use crate::message::{Request, Response};
use crate::properties::{Scope, Visible};
use crate::shared::Shared;
use crate::state::{StreamInfo, StreamState};
use crate::sync::lock;

/// A request that is over: what the client got, what the upstream got, and what an access log would
/// say.
pub struct Outcome {
    pub(crate) stream: u64,
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
#[non_exhaustive]
pub struct Callback {
    /// The name of the filter.
    pub filter: String,
    /// The callback's name in the ABI, without `proxy_on_`: `request_headers`, `request_body`,
    /// `request_trailers`, the same of `response`, `log`, `done`, `delete`.
    pub name: &'static str,
    /// The number of headers or trailers, or of the bytes of the body that the filter can see.
    pub size: usize,
    /// Whether nothing comes after this. Trailers are always the last.
    pub end_of_stream: bool,
    /// What the filter returned; nothing if it crashed, and in callbacks about the end.
    pub action: Option<Action>,
}

/// `key: request_body (11 bytes, end) -> Pause`
impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.filter, self.name)?;
        if matches!(self.name, "log" | "done" | "delete") {
            return Ok(());
        }
        let unit = if self.name.ends_with("body") {
            " bytes"
        } else {
            ""
        };
        let end = if self.end_of_stream { ", end" } else { "" };
        write!(f, " ({}{unit}{end})", self.size)?;
        match self.action {
            Some(action) => write!(f, " -> {action:?}"),
            None => write!(f, " -> crash"),
        }
    }
}

/// What a callback says about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It goes on.
    Continue,
    /// The filter holds it.
    Pause,
}

impl Outcome {
    /// The response as the client got it, or as much of it as it got.
    ///
    /// # Panics
    /// If the client got none; see [`try_response`](Self::try_response).
    #[track_caller]
    pub fn response(&self) -> &Response {
        match &self.received.response {
            Some(response) => response,
            None => panic!("the client got no response: {self}"),
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
    #[track_caller]
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

    /// What was logged while filters were busy with this request.
    pub fn logs(&self) -> Vec<LogLine> {
        self.shared.logs.of_stream(self.stream)
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

/// Like a line of an access log: the request as the client sent it, status, flags, details, the bytes
/// of the request's and the response's body, and that body if it is a short text.
///
/// ```text
/// "GET /down HTTP/1.1" 503 UF upstream_reset_before_response_started{…} 0 91 "upstream connect error…"
/// ```
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, received, sent) = {
            let StreamInfo {
                request_line,
                bytes_received,
                bytes_sent,
                ..
            } = &lock(&self.state).info;
            (request_line.clone(), *bytes_received, *bytes_sent)
        };
        let status = self.received.response.as_ref().map(Response::status);
        let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let details = self.code_details().filter(|details| !details.is_empty());
        let details = details.as_deref().unwrap_or("-");
        let flags = self.flags();
        write!(f, "\"{line}\" {status} {flags} {details} {received} {sent}")?;
        if let Some(response) = &self.received.response {
            write!(f, " {}", Body(&response.body_bytes()))?;
        }
        if self.received.broken_off {
            f.write_str(" (broken off)")?;
        }
        Ok(())
    }
}

/// The line of [`Display`](fmt::Display), the response, and every callback.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callbacks: Vec<_> = self.trace.iter().map(ToString::to_string).collect();
        f.debug_struct("Outcome")
            .field("line", &format_args!("{self}"))
            .field("response", &self.received.response)
            .field("callbacks", &callbacks)
            .finish_non_exhaustive()
    }
}

/// Bytes as a person wants to see them: as text, where they are one.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENOUGH: usize = 200;
        match std::str::from_utf8(self.0) {
            Ok(text) if text.len() <= ENOUGH => write!(f, "{text:?}"),
            Ok(text) => {
                let start: String = text.chars().take(ENOUGH).collect();
                write!(f, "{start:?}… ({} bytes)", text.len())
            }
            Err(_) => write!(f, "({} bytes that are no text)", self.0.len()),
        }
    }
}
