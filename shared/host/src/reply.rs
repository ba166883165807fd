//! Answers that a plugin gives instead of the upstream.

use bytes::Bytes;

/// A response made here. Envoy fills in `content-length` and, for gRPC requests, turns it into a
/// gRPC status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The status for a gRPC request; without one, Envoy derives it from the HTTP status.
    pub grpc_status: Option<u32>,
    /// The response-code details for Envoy's access log: short, without spaces.
    pub details: &'static str,
    /// Headers beside those that Envoy sets.
    pub headers: Vec<(Bytes, Bytes)>,
    /// The body; `text/plain` unless `headers` say otherwise.
    pub body: Bytes,
}
