//! Responses that the host makes up: for a filter, for the router, for a VM that died.

use crate::grpc;
use crate::headers::Headers;
use crate::state::StreamState;

/// What is asked for; [`encode`](Self::encode) makes a response of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalReply {
    pub(crate) code: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Headers,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) details: Vec<u8>,
}

impl LocalReply {
    pub(crate) fn new(code: u16, body: impl AsRef<[u8]>, details: &str) -> Self {
        Self {
            code,
            body: body.as_ref().to_vec(),
            details: details.as_bytes().to_vec(),
            ..Self::default()
        }
    }

    /// The reply when the VM of a filter is dead.
    pub(crate) fn failed_vm() -> Self {
        Self {
            grpc_status: Some(grpc::UNAVAILABLE),
            ..Self::new(503, "", "wasm_fail_stream")
        }
    }

    /// The headers and the body, for this request:
    ///
    /// * a gRPC request gets 200, `grpc-status` and the body as `grpc-message`;
    /// * a body brings its `content-length`, and `content-type: text/plain` unless one was given;
    /// * no body loses both of them, even if they were given;
    /// * a HEAD request keeps the headers and loses the body.
    pub(crate) fn encode(&self, request: &StreamState) -> (Headers, Vec<u8>) {
        let mut headers = Headers::new();
        headers.add(":status", self.code.to_string());
        for (name, value) in self.headers.iter() {
            headers.add(name, value);
        }
        if request.is_grpc() {
            headers.set(":status", "200");
            headers.set("content-type", "application/grpc");
            if !headers.contains("grpc-status") {
                let status = self.grpc_status.unwrap_or(grpc::from_http(self.code));
                headers.add("grpc-status", status.to_string());
            }
            if !self.body.is_empty() && !request.is_head() {
                headers.set("grpc-message", grpc::message(&self.body));
            }
            headers.remove("content-length");
            return (headers, Vec::new());
        }
        if self.body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
        } else {
            headers.set("content-length", self.body.len().to_string());
            if !headers.contains("content-type") {
                headers.add("content-type", "text/plain");
            }
        }
        let body = if request.is_head() {
            Vec::new()
        } else {
            self.body.clone()
        };
        (headers, body)
    }
}
