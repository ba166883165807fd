//! The stop signal: a response that asks the caller not to send the request again.

use bytes::Bytes;

use super::RetryBudget;
use super::evaluation::Evaluation;
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;

/// The response header of the stop signal.
const RETRY: Bytes = Bytes::from_static(b"x-portcullis-retry");
/// The same for gRPC (gRFC A6): a negative number.
const PUSHBACK: Bytes = Bytes::from_static(b"grpc-retry-pushback-ms");

const GRPC_STATUS: &str = "grpc-status";

/// The gRPC statuses that Envoy can retry on: CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE.
const GRPC_FAILURES: [&[u8]; 5] = [b"1", b"4", b"8", b"13", b"14"];

/// Whether the response gets a stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopSignal {
    /// No, or not known yet.
    No,
    /// If the response is a failure.
    IfFailed,
    /// If the trailers make the response a failure.
    IfTrailersFailed,
}

impl Evaluation {
    /// Whether [`RetryBudget::on_response`] has something to do.
    pub fn needs_response(&self) -> bool {
        self.stop_signal == StopSignal::IfFailed
    }

    /// Whether [`RetryBudget::on_trailers`] has something to do.
    pub fn needs_trailers(&self) -> bool {
        self.stop_signal == StopSignal::IfTrailersFailed
    }
}

impl RetryBudget {
    /// Adds the stop signal to a response that is a failure. A gRPC response may need it in the trailers.
    pub fn on_response(&self, evaluation: &mut Evaluation, response: &mut HeaderMap) {
        if !evaluation.needs_response() {
            return;
        }
        evaluation.stop_signal = StopSignal::No;
        let is_server_error = response
            .get(":status")
            .is_some_and(|status| status.starts_with(b"5"));
        // gRPC-Web has no pushback, and its trailers are in the body.
        let is_http2 = evaluation.grpc == Some(Grpc::Http2);
        let is_failure = match response.value(GRPC_STATUS) {
            Some(status) if evaluation.grpc.is_some() => is_grpc_failure(status),
            None if is_http2 && !is_server_error => {
                evaluation.stop_signal = StopSignal::IfTrailersFailed;
                false
            }
            _ => is_server_error,
        };
        if is_failure {
            response.set(RETRY, "no".into());
            if is_http2 {
                response.set(PUSHBACK, "-1".into());
            }
        }
    }

    /// Adds the stop signal to the trailers of a gRPC response that is a failure.
    pub fn on_trailers(&self, evaluation: &mut Evaluation, trailers: &mut HeaderMap) {
        let is_failure = trailers
            .get(GRPC_STATUS)
            .is_some_and(|status| is_grpc_failure(status));
        if evaluation.needs_trailers() && is_failure {
            trailers.set(PUSHBACK, "-1".into());
        }
    }
}

fn is_grpc_failure(status: &[u8]) -> bool {
    GRPC_FAILURES.contains(&status)
}
