//! What is remembered of a response.

use super::failures::Failures;
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;

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
    /// Whether it came with the headers.
    is_trailers_only: bool,
}

/// A gRPC status that never came.
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;

impl Response {
    /// Reads the headers; none without a status.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let is_trailers_only = headers.get("grpc-status").is_some();
        let is_grpc = match Grpc::of(headers) {
            Some(Grpc::Http2) => true,
            // The status of one with a message is in its body.
            Some(Grpc::Web) => is_trailers_only,
            None => false,
        };
        Some(Self {
            status: number(headers, ":status")?,
            grpc: is_grpc.then(|| GrpcResponse {
                status: number(headers, "grpc-status"),
                is_trailers_only,
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

    /// What Envoy says of the attempts.
    pub(super) fn attempts(&self) -> Option<u32> {
        self.attempts
    }

    /// Whether it is worth asking if this is a failure. Where Envoy answers for an upstream that failed,
    /// the status is one of an error.
    pub(super) fn may_be_failure(&self, failures: &Failures) -> bool {
        let has_grpc_error = self.grpc_status().is_some_and(|status| status > 0);
        self.status >= 400 || has_grpc_error || self.is_failure(failures)
    }

    /// Whether what has come of the response is a failure.
    pub(super) fn is_failure(&self, failures: &Failures) -> bool {
        self.grpc_status()
            .is_some_and(|status| failures.has_grpc_status(status))
            || failures.has_status(self.status)
    }

    /// Whether it does not count.
    pub(super) fn is_ignored(&self, failures: &Failures) -> bool {
        self.grpc_status()
            .is_some_and(|status| failures.ignores_grpc_status(status))
            || failures.ignores_status(self.status)
    }

    /// Whether it lacks a gRPC status, and that is a failure.
    pub(super) fn lacks_status(&self, failures: &Failures) -> bool {
        self.awaits_status() && failures.has_grpc_status(UNKNOWN)
    }

    /// Whether its gRPC status has yet to come.
    pub(super) fn awaits_status(&self) -> bool {
        self.grpc.is_some_and(|grpc| grpc.status.is_none())
    }

    /// Whether the upstream gave up because of a deadline.
    pub(super) fn is_deadline_exceeded(&self) -> bool {
        self.grpc_status() == Some(DEADLINE_EXCEEDED)
    }

    /// Whether these are headers that Envoy does not make itself when a deadline passes: its own answers are
    /// errors, or 204, or carry a gRPC status.
    pub(super) fn has_begun_well(&self) -> bool {
        self.status < 400
            && self.status != 204
            && self.grpc.is_none_or(|grpc| !grpc.is_trailers_only)
    }

    fn grpc_status(&self) -> Option<u32> {
        self.grpc.and_then(|grpc| grpc.status)
    }
}

pub(super) fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    std::str::from_utf8(headers.get(name)?).ok()?.parse().ok()
}
