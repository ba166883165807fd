//! The little of gRPC that a proxy knows.

pub(crate) mod service;
pub(crate) mod wire;

use crate::headers::Headers;

/// gRPC's `UNAVAILABLE`.
pub(crate) const UNAVAILABLE: u32 = 14;

/// The status that Envoy reports as `response.grpc_status`: from the trailers, from the headers, or
/// made up from the HTTP status, for plain HTTP too.
pub(crate) fn status(
    trailers: Option<&Headers>,
    headers: Option<&Headers>,
    code: Option<u16>,
) -> Option<u32> {
    let told = [trailers, headers]
        .into_iter()
        .flatten()
        .find_map(|headers| headers.get("grpc-status")?.parse().ok());
    told.or_else(|| code.map(from_http))
}

/// The gRPC status that stands for an HTTP status.
pub(crate) fn from_http(code: u16) -> u32 {
    match code {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => 2,
    }
}

/// The value of `grpc-message`: bytes outside printable ASCII and `%` are percent-encoded.
pub(crate) fn message(text: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in text {
        match byte {
            b' '..=b'~' if *byte != b'%' => encoded.push(char::from(*byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
