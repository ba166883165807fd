//! What came of a request, and whose fault it was.
//!
//! The verdict falls when the stream has ended, because a response can still break off, and a gRPC
//! status may come last. These rules are asked in turn:
//!
//! 1. A [flag](super::flags) that is configured as a failure: **failure**.
//! 2. The client has gone (DC, DR) before there was a response: **abandoned**.
//! 3. There was no response, or another filter or Envoy itself gave it (flags such as RL, UAEX, FI, NR, UO,
//!    or no attempt to send the request upstream): **neutral**.
//! 4. The gRPC status of a gRPC response, from its headers or trailers, is configured as a failure; one
//!    that never came counts as 2, UNKNOWN: **failure**.
//! 5. The HTTP status is configured as a failure: **failure**.
//! 6. Else: **success**. So is a response that the client did not wait for to the end.
//!
//! UO is Envoy's own overflow, and neutral; but where only a *retry* overflowed, the response is the
//! upstream's. The code details tell: they are `via_upstream` then.
//!
//! # Few questions
//!
//! Each property is a call to the proxy, so the common case asks for one: code details of `via_upstream`
//! say that a whole response came from the upstream, and leave nothing for rules 2 and 3, nor for any
//! flags but UO and URX. In all other cases the flags, and then perhaps the attempts, are asked for.

use super::failures::Failures;
use super::flags::{CLIENT_GONE, NOT_UPSTREAM, WITH_UPSTREAM_RESPONSE};
use crate::headers::HeaderMap;

/// How Envoy describes a stream, be it at its end or when the response's headers have come.
pub trait Stream {
    /// `response.code_details`; empty if there are none.
    fn code_details(&mut self) -> Vec<u8>;

    /// `response.flags`.
    fn flags(&mut self) -> u64;

    /// `upstream.request_attempt_count`; `None` if Envoy does not say.
    fn attempts(&mut self) -> Option<u32>;
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upstream has answered.
    Success,
    /// It has failed.
    Failure,
    /// Nobody's, or nobody's that matters here.
    Neutral,
    /// The client has gone before there was a response.
    Abandoned,
}

/// What is remembered of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    status: u16,
    grpc: Option<GrpcResponse>,
    /// What Envoy says of the attempts, if it is configured to.
    attempts: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GrpcResponse {
    /// None as long as it has not come.
    status: Option<u32>,
}

/// A gRPC status that never came.
const UNKNOWN: u32 = 2;

impl Response {
    /// Reads the headers; none without a status.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            status: number(headers, ":status")?,
            grpc: is_grpc(headers).then(|| GrpcResponse {
                status: number(headers, "grpc-status"),
            }),
            attempts: number(headers, "x-envoy-attempt-count"),
        })
    }

    /// Reads the trailers.
    pub(super) fn add_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(grpc) = &mut self.grpc {
            grpc.status = grpc.status.or_else(|| number(trailers, "grpc-status"));
        }
    }

    /// Whether it is worth asking if this is a failure. Where Envoy answers for an upstream that failed,
    /// the status is one of an error.
    pub(super) fn may_be_failure(&self, failures: &Failures) -> bool {
        let has_grpc_error = self
            .grpc
            .and_then(|grpc| grpc.status)
            .is_some_and(|status| status > 0);
        self.status >= 400 || has_grpc_error || self.is_failure(failures)
    }

    /// Whether what has come of the response is a failure.
    fn is_failure(&self, failures: &Failures) -> bool {
        let grpc = self.grpc.and_then(|grpc| grpc.status);
        grpc.is_some_and(|status| failures.has_grpc_status(status))
            || failures.has_status(self.status)
    }

    /// Whether it lacks a gRPC status, and that is a failure.
    fn lacks_status(&self, failures: &Failures) -> bool {
        self.grpc.is_some_and(|grpc| grpc.status.is_none()) && failures.has_grpc_status(UNKNOWN)
    }
}

/// Whether a message is gRPC: `application/grpc`, `application/grpc+proto`, but not
/// `application/grpc-web`, whose status stands in the body.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get("content-type");
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    std::str::from_utf8(headers.get(name)?).ok()?.parse().ok()
}

/// When a verdict is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The response has only begun.
    Headers,
    /// The stream has ended.
    End,
}

/// What came of a stream for one breaker, and how often its request was sent upstream, where that is
/// known.
pub(super) fn judge(
    failures: &Failures,
    moment: Moment,
    response: Option<&Response>,
    stream: &mut impl Stream,
) -> (Verdict, Option<u32>) {
    let configured = failures.flags();
    let is_failure = response.is_some_and(|response| response.is_failure(failures));
    if let Some(response) = response
        && stream.code_details() == b"via_upstream"
    {
        let telling = configured & WITH_UPSTREAM_RESPONSE;
        let is_failure = is_failure
            || moment == Moment::End && response.lacks_status(failures)
            || telling > 0 && stream.flags() & telling > 0;
        return match is_failure {
            true => (Verdict::Failure, stream.attempts()),
            false => (Verdict::Success, response.attempts),
        };
    }
    let flags = stream.flags();
    let attempts = stream.attempts();
    let verdict = match response {
        _ if flags & configured > 0 => Verdict::Failure,
        None if flags & CLIENT_GONE > 0 => Verdict::Abandoned,
        None => Verdict::Neutral,
        Some(_) if flags & NOT_UPSTREAM > 0 || attempts == Some(0) => Verdict::Neutral,
        Some(_) if is_failure => Verdict::Failure,
        Some(_) => Verdict::Success,
    };
    (verdict, attempts)
}
