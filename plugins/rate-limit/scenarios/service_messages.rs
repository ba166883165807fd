//! The messages of rate-limit services, as their stand-ins read and frame them.

use portcullis_core::protobuf::{Fields, Value};

use crate::Response;

/// A gRPC response with this message.
pub(super) fn framed(message: &[u8]) -> Response {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    Response {
        body: [&[0], &length.to_be_bytes()[..], message].concat(),
        ..Response::grpc(0)
    }
}

/// The value of `api_key`, the only entry of a call's descriptor.
pub(super) fn key_of(message: &[u8]) -> String {
    let descriptor = find(message, 2).bytes().expect("a descriptor");
    let entry = find(descriptor, 1).bytes().expect("an entry");
    assert_eq!(find(entry, 1).text().expect("a name"), "api_key");
    find(entry, 2).text().expect("a value").to_owned()
}

/// The value of a field that is there once.
pub(super) fn find(message: &[u8], wanted: u32) -> Value<'_> {
    let fields = Fields::of(message).map(|field| field.expect("a message"));
    let found: Vec<_> = fields.filter(|(number, _)| *number == wanted).collect();
    let [(_, value)] = found[..] else {
        panic!("{} fields {wanted}", found.len());
    };
    value
}
