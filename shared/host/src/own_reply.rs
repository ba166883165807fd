//! Replies to requests, as Envoy shows them to the filters that they pass.
//!
//! Where Envoy does not show a reply to the filter that sent it, the plugins of that filter see it here, before it is
//! sent.

use bytes::Bytes;
use portcullis_core::headers::HeaderMap;
use portcullis_core::reply::Reply;

use crate::backend::StreamHost;
use crate::property::Property;

const GRPC: &[u8] = b"application/grpc";
const STATUS: &str = ":status";
const CONTENT_LENGTH: &str = "content-length";
const CONTENT_TYPE: &str = "content-type";
const PLAIN_TEXT: &str = "text/plain";

/// Whether Envoy answers the request as gRPC.
pub fn is_grpc(host: &dyn StreamHost) -> bool {
    let content_type = host.text(Property::RequestHeader(CONTENT_TYPE));
    content_type.is_ok_and(|value| value.is_some_and(|value| is_grpc_type(&value)))
}

/// `application/grpc`, alone or with a suffix such as `+proto`.
fn is_grpc_type(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(GRPC);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// The headers of the response that Envoy makes of a reply.
pub(crate) fn headers(reply: &Reply, is_grpc: bool) -> HeaderMap {
    let number = |number: u64| Bytes::from(number.to_string());
    let status = if is_grpc { 200 } else { reply.status.into() };
    let mut entries = vec![(Bytes::from_static(STATUS.as_bytes()), number(status))];
    entries.extend(reply.headers.iter().cloned());
    let mut headers = HeaderMap::new(entries);
    let mut add = |name: &'static str, value: Bytes| {
        if !headers.contains(name) {
            headers.append(name.into(), value);
        }
    };
    if is_grpc {
        add(CONTENT_TYPE, Bytes::from_static(GRPC));
        if let Some(status) = reply.grpc_status {
            add("grpc-status", number(status.into()));
        }
    } else if !reply.body.is_empty() {
        add(CONTENT_LENGTH, number(reply.body.len() as u64));
        add(CONTENT_TYPE, PLAIN_TEXT.into());
    }
    headers.without_changes()
}

/// The same reply with the headers of that response, without those that Envoy sets.
pub(crate) fn with_headers(reply: Reply, headers: &HeaderMap) -> Reply {
    let is_from_envoy = |name: &[u8], value: &[u8]| match name {
        b":status" | b"content-length" | b"grpc-status" => true,
        b"content-type" => value == PLAIN_TEXT.as_bytes() || is_grpc_type(value),
        _ => false,
    };
    let lines = headers.entries();
    Reply {
        headers: lines
            .filter(|(name, value)| !is_from_envoy(name, value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..reply
    }
}
