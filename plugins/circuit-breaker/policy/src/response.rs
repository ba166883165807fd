//! The parts of a response that its verdict depends on.

use super::failures::Failures;
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;

/// The parts of a response that its verdict depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    status: u16,
    grpc: Option<GrpcResponse>,
    /// The number of attempts, if Envoy is configured to say it.
    attempts: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GrpcResponse {
    /// `None` until it arrives.
    status: Option<u32>,
    /// Whether it arrived with the headers.
    is_trailers_only: bool,
}

/// The gRPC status of a response that never gets one.
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;

impl Response {
    /// Reads the headers. `None` if they have no status.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let is_trailers_only = headers.contains("grpc-status");
        let is_grpc = match Grpc::of(headers) {
            Some(Grpc::Http2) => true,
            // A response with a message has its status in the body.
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

    /// The number of attempts, if Envoy says it.
    pub(super) fn attempts(&self) -> Option<u32> {
        self.attempts
    }

    /// Whether the response can be a failure. If Envoy answers for a failed upstream, the status is an error.
    pub(super) fn may_be_failure(&self, failures: &Failures) -> bool {
        let has_grpc_error = self.grpc_status().is_some_and(|status| status > 0);
        self.status >= 400 || has_grpc_error || self.is_failure(failures)
    }

    /// Whether the response so far is a failure.
    pub(super) fn is_failure(&self, failures: &Failures) -> bool {
        self.grpc_status()
            .is_some_and(|status| failures.has_grpc_status(status))
            || failures.has_status(self.status)
    }

    /// Whether the response does not count.
    pub(super) fn is_ignored(&self, failures: &Failures) -> bool {
        self.grpc_status()
            .is_some_and(|status| failures.ignores_grpc_status(status))
            || failures.ignores_status(self.status)
    }

    /// Whether the missing gRPC status is a failure.
    pub(super) fn lacks_status(&self, failures: &Failures) -> bool {
        self.awaits_status() && failures.has_grpc_status(UNKNOWN)
    }

    /// Whether its gRPC status has yet to arrive.
    pub(super) fn awaits_status(&self) -> bool {
        self.grpc.is_some_and(|grpc| grpc.status.is_none())
    }

    /// Whether the upstream reports that a deadline passed.
    pub(super) fn is_deadline_exceeded(&self) -> bool {
        self.grpc_status() == Some(DEADLINE_EXCEEDED)
    }

    /// Whether Envoy cannot have written these headers itself when a deadline passed: its own responses are errors,
    /// have status 204, or carry a gRPC status.
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
    std::str::from_utf8(headers.value(name)?).ok()?.parse().ok()
}
