//! Unary gRPC calls, as HTTP carries them: a request with one message in a frame, and a response with one.
//!
//! The status of the response is in its trailers, or in its headers if it has no message. Not every host shows
//! trailers. A server that fails sends no message, or not the whole of it, so a whole message without any status is
//! taken for a success.

use std::fmt;
use std::time::Duration;

use portcullis_core::grpc::{Grpc, frame};
use portcullis_core::headers::HeaderMap;

use crate::call::{Call, CallResponse, Memo};
use crate::error::Error;

/// A gRPC call with one message.
#[derive(Clone, Copy, Debug)]
pub struct GrpcCall<'a> {
    /// The name of the cluster, which has to speak HTTP/2.
    pub cluster: &'a str,
    /// The full name of the method: `/package.Service/Method`.
    pub path: &'a str,
    /// The message.
    pub message: &'a [u8],
    /// See [`Call::timeout`]. The service learns it, too.
    pub timeout: Duration,
    /// See [`Call::memo`].
    pub memo: Option<&'a Memo>,
}

impl GrpcCall<'_> {
    /// Does something with the call as an HTTP call.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Call<'_>) -> T) -> T {
        /// The largest number that the header may have.
        const MAX_TIMEOUT: u32 = 99_999_999;

        let body = frame::encode(self.message);
        let call = Call {
            cluster: self.cluster,
            headers: &[],
            body: &body,
            timeout: self.timeout,
            memo: self.memo,
        };
        let timeout = format!("{}m", call.timeout_milliseconds().min(MAX_TIMEOUT));
        let timed = [
            (":method", "POST"),
            (":scheme", "http"),
            // As Envoy's own client.
            (":authority", self.cluster),
            (":path", self.path),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", &timeout),
        ];
        let headers = match self.timeout.is_zero() {
            false => &timed[..],
            true => timed.split_last().map_or(&timed[..], |(_, others)| others),
        };
        act(&Call { headers, ..call })
    }
}

/// The reason why a gRPC call has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcError {
    /// Envoy did not send the call.
    NotSent(Error),
    /// The response was cut off.
    BrokenOff,
    /// The service, or Envoy in its place, answered with this status of gRPC. If the service cannot be reached or does
    /// not answer in time, it is 14.
    Status(u32),
    /// An HTTP status other than 200, without a status of gRPC.
    Http(u16),
    /// No whole message, more than one, a compressed one, or no gRPC at all.
    Malformed,
}

impl fmt::Display for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) => write!(f, "not sent: {error}"),
            Self::BrokenOff => f.write_str("the connection was reset, or the response broke off"),
            Self::Status(status) => write!(f, "gRPC status {status}"),
            Self::Http(status) => write!(f, "HTTP status {status}"),
            Self::Malformed => f.write_str("not a gRPC response with one whole message"),
        }
    }
}

impl std::error::Error for GrpcError {}

impl CallResponse {
    /// The message of the response to a [`GrpcCall`].
    pub fn grpc_message(&self) -> Result<&[u8], GrpcError> {
        if let Some(error) = self.not_sent {
            return Err(GrpcError::NotSent(error));
        }
        let headers = self.headers.as_ref().ok_or(GrpcError::BrokenOff)?;
        match grpc_status(self.trailers.as_ref(), headers) {
            Some(Some(0)) | None => {}
            Some(Some(status)) => return Err(GrpcError::Status(status)),
            Some(None) => return Err(GrpcError::Malformed),
        }
        match self.status() {
            Some(200) if Grpc::of(headers) == Some(Grpc::Http2) => {
                // The host has bounded the body.
                frame::decode(&self.body, usize::MAX).map_err(|_| GrpcError::Malformed)
            }
            Some(200) | None => Err(GrpcError::Malformed),
            Some(status) => Err(GrpcError::Http(status)),
        }
    }
}

/// The status of gRPC, from the trailers or else the headers. `Some(None)` if it is not a number.
fn grpc_status(trailers: Option<&HeaderMap>, headers: &HeaderMap) -> Option<Option<u32>> {
    const NAME: &str = "grpc-status";

    let status = trailers.and_then(|trailers| trailers.value(NAME));
    let status = status.or_else(|| headers.value(NAME))?;
    Some(
        std::str::from_utf8(status)
            .ok()
            .and_then(|it| it.parse().ok()),
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn map(entries: &[(&'static str, &'static str)]) -> HeaderMap {
        let entries = entries.iter();
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        HeaderMap::new(
            entries
                .map(|(name, value)| (bytes(name), bytes(value)))
                .collect(),
        )
    }

    const OK: &[(&str, &str)] = &[
        (":status", "200"),
        ("content-type", "application/grpc+proto"),
    ];

    fn response(headers: &[(&'static str, &'static str)], body: &[u8]) -> CallResponse {
        CallResponse {
            headers: Some(map(headers)),
            body: body.to_vec(),
            ..CallResponse::default()
        }
    }

    fn with_trailer(status: &'static str, body: &[u8]) -> CallResponse {
        CallResponse {
            trailers: Some(map(&[("grpc-status", status)])),
            ..response(OK, body)
        }
    }

    #[test]
    fn a_call_is_a_post_with_one_frame() {
        let call = GrpcCall {
            cluster: "limits",
            path: "/a.B/C",
            message: b"hello",
            timeout: Duration::from_millis(50),
            memo: None,
        };
        call.with(|call| {
            let found: Vec<&str> = call.headers.iter().map(|(_, value)| *value).collect();
            let expected = [
                "POST",
                "http",
                "limits",
                "/a.B/C",
                "trailers",
                "application/grpc",
                "50m",
            ];
            assert_eq!(found, expected);
            assert_eq!(call.body, b"\0\0\0\0\x05hello");
        });
        let endless = GrpcCall {
            timeout: Duration::ZERO,
            ..call
        };
        let is_timeout = |(name, _): &(&str, &str)| *name == "grpc-timeout";
        assert!(!endless.with(|call| call.headers.iter().any(is_timeout)));
    }

    #[test]
    fn a_message_comes_with_status_0_or_without_any() {
        let framed = frame::encode(b"hello");
        for response in [with_trailer("0", &framed), response(OK, &framed)] {
            assert_eq!(response.grpc_message(), Ok(&b"hello"[..]));
        }
        assert_eq!(
            response(OK, &frame::encode(b"")).grpc_message(),
            Ok(&b""[..])
        );
    }

    #[test]
    fn a_failure_is_an_error() {
        let framed = frame::encode(b"hello");
        let refused = Error::Malformed;
        let not_sent = CallResponse {
            not_sent: Some(refused),
            ..CallResponse::default()
        };
        let in_headers = [OK[0], OK[1], ("grpc-status", "14")];
        for (response, expected) in [
            (not_sent, GrpcError::NotSent(refused)),
            (CallResponse::default(), GrpcError::BrokenOff),
            (with_trailer("8", &framed), GrpcError::Status(8)),
            (with_trailer("-1", &framed), GrpcError::Malformed),
            (response(&in_headers, b""), GrpcError::Status(14)),
            (response(&[(":status", "503")], b""), GrpcError::Http(503)),
            (response(&[(":status", "x")], b""), GrpcError::Malformed),
            (
                response(&[(":status", "200")], &framed),
                GrpcError::Malformed,
            ),
            (response(OK, b""), GrpcError::Malformed),
            (response(OK, &framed[..9]), GrpcError::Malformed),
            (
                response(OK, &[&framed[..], &framed].concat()),
                GrpcError::Malformed,
            ),
            (response(OK, b"\x01\0\0\0\0"), GrpcError::Malformed),
            (response(OK, b"\0\xff\xff\xff\xff"), GrpcError::Malformed),
        ] {
            assert_eq!(response.grpc_message(), Err(expected), "{response:?}");
        }
    }
}
