//! The lines of one header.

use bytes::Bytes;

use portcullis_core::headers::HeaderMap;

/// Whether a header is present.
pub(super) fn has(headers: &HeaderMap, name: &[u8]) -> bool {
    headers.iter().any(|(other, _)| other == name)
}

/// The values of a header, one for each line.
pub(super) fn lines(headers: &HeaderMap, name: &[u8]) -> Vec<Bytes> {
    let lines = headers.iter().filter(|(other, _)| other == name);
    lines.map(|(_, value)| value.clone()).collect()
}
