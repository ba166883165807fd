//! Recognises gRPC and gRPC-Web by the content type.
//!
//! gRPC-Web (`application/grpc-web`, `application/grpc-web-text`) is for browsers, which do not expose trailers.
//! Its status is at the end of the body, where no filter looks. Only a response without a message has it in the
//! headers, as in gRPC.

use crate::headers::HeaderMap;

/// The kind of a gRPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grpc {
    /// gRPC over HTTP/2: the status is in the trailers or in the headers.
    Http2,
    /// gRPC-Web: the status is in the headers or in the body.
    Web,
}

impl Grpc {
    /// The kind that the content type names, such as `application/grpc+proto`; `None` for plain HTTP.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.value("content-type")?;
        let rest = content_type.strip_prefix(b"application/grpc")?;
        let (kind, rest) = match rest.strip_prefix(b"-web") {
            Some(rest) => (Self::Web, rest.strip_prefix(b"-text").unwrap_or(rest)),
            None => (Self::Http2, rest),
        };
        matches!(rest.first(), None | Some(b'+' | b';')).then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn content_types_name_the_kind() {
        for (content_type, expected) in [
            ("application/grpc", Some(Grpc::Http2)),
            ("application/grpc+proto", Some(Grpc::Http2)),
            ("application/grpc;x=y", Some(Grpc::Http2)),
            ("application/grpc-web", Some(Grpc::Web)),
            ("application/grpc-web+proto", Some(Grpc::Web)),
            ("application/grpc-web-text", Some(Grpc::Web)),
            ("application/grpc-web-text+proto", Some(Grpc::Web)),
            ("application/grpc-webby", None),
            ("application/grpcs", None),
            ("application/json", None),
        ] {
            let entry = ("content-type".into(), content_type.into());
            let headers = HeaderMap::new(vec![entry]);
            assert_eq!(Grpc::of(&headers), expected, "{content_type}");
        }
        assert_eq!(Grpc::of(&HeaderMap::default()), None);
    }
}
