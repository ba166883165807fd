//! Messages as HTTP/1.1 bytes.

use crate::message::{Headers, Request};
use crate::upstream::{Ending, Reply};

/// The bytes of a request.
pub(crate) fn encode_request(request: &Request) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    if request.headers.get("host").is_none() {
        bytes.extend_from_slice(b"host: test.example\r\n");
    }
    encode_fields(&request.headers, &mut bytes);
    let chunked = announce_body(
        &request.headers,
        !request.trailers.is_empty(),
        (!request.body.is_empty()).then_some(request.body.len()),
        &mut bytes,
    );
    encode_body(&request.body, &request.trailers, chunked, true, &mut bytes);
    bytes
}

/// The bytes of a reply to a request with this method; empty if there is no reply.
pub(crate) fn encode_reply(reply: &Reply, method: &str) -> Vec<u8> {
    let Some(status) = reply.status else {
        return Vec::new();
    };
    let complete = reply.ending == Ending::Complete;
    let mut bytes = format!("HTTP/1.1 {status} Reply\r\n").into_bytes();
    encode_fields(&reply.headers, &mut bytes);
    let bodiless = matches!(status, 204 | 304);
    let length = reply.body.len() + usize::from(!complete);
    let chunked = announce_body(
        &reply.headers,
        !reply.trailers.is_empty(),
        (!bodiless).then_some(length),
        &mut bytes,
    );
    if method != "HEAD" && !bodiless {
        encode_body(&reply.body, &reply.trailers, chunked, complete, &mut bytes);
    }
    bytes
}

/// Ends the header with the field that frames the body, unless the message has its own.
/// Returns whether the body is chunked.
fn announce_body(
    headers: &Headers,
    trailers: bool,
    length: Option<usize>,
    bytes: &mut Vec<u8>,
) -> bool {
    let chunked = headers.get("transfer-encoding").is_some();
    let framed = chunked || headers.get("content-length").is_some();
    match length {
        _ if framed => bytes.extend_from_slice(b"\r\n"),
        _ if trailers => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
        Some(length) => {
            bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes())
        }
        None => bytes.extend_from_slice(b"\r\n"),
    }
    chunked || (trailers && !framed)
}

fn encode_body(body: &[u8], trailers: &Headers, chunked: bool, ended: bool, bytes: &mut Vec<u8>) {
    if !chunked {
        bytes.extend_from_slice(body);
        return;
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"\r\n");
    }
    if ended {
        bytes.extend_from_slice(b"0\r\n");
        encode_fields(trailers, bytes);
        bytes.extend_from_slice(b"\r\n");
    }
}

fn encode_fields(headers: &Headers, bytes: &mut Vec<u8>) {
    for (name, value) in headers.iter() {
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
}
