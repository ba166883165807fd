//! Requests and responses as clients and services see them.

use std::net::IpAddr;

/// A request, as the client sends it or the upstream receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path and the query, exactly as on the wire.
    pub path: String,
    /// The `host` header or `:authority`.
    pub host: String,
    /// Whether the client's connection is TLS.
    pub tls: bool,
    /// Whether the connection is HTTP/2. The connection to the upstream is HTTP/2 then, too.
    pub http2: bool,
    /// The client's address that the proxy trusts; `None` for the address of the connection.
    pub client: Option<IpAddr>,
    /// All other headers, in order; names are lower-case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A response, as the upstream sends it or the client receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, in order; names are lower-case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, in order; names are lower-case.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the response broke off: nothing arrived after this.
    pub broken_off: bool,
}

/// An empty gRPC message with its frame.
const GRPC_MESSAGE: &[u8] = &[0; 5];

impl Request {
    /// A request without a body to `shop.example`, over a plain connection.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            host: "shop.example".into(),
            tls: false,
            http2: false,
            client: None,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A GET request.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST request with a short body.
    pub fn post(path: &str) -> Self {
        Self {
            body: b"x=1".to_vec(),
            ..Self::new("POST", path)
        }
    }

    /// A gRPC request with one message, over HTTP/2. The path is `/service/method`.
    pub fn grpc(path: &str) -> Self {
        Self {
            http2: true,
            body: GRPC_MESSAGE.to_vec(),
            ..Self::new("POST", path)
        }
        .header("content-type", "application/grpc")
        .header("te", "trailers")
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Sets the host.
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the client's address.
    pub fn from(mut self, client: impl Into<IpAddr>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Uses TLS.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The values of a header as text, one for each line.
    pub fn all(&self, name: &str) -> Vec<String> {
        lines(&self.headers, name)
    }

    /// The only value of a header; `None` if it is absent. Panics if there are several lines.
    pub fn get_header(&self, name: &str) -> Option<String> {
        only(&self.headers, name)
    }
}

impl Response {
    /// A response with a short body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: b"hello\n".to_vec(),
            trailers: Vec::new(),
            broken_off: false,
        }
    }

    /// A gRPC response: one message, then this `grpc-status` in the trailers.
    pub fn grpc(status: u32) -> Self {
        Self {
            body: GRPC_MESSAGE.to_vec(),
            ..Self::new(200)
        }
        .header("content-type", "application/grpc")
        .trailer("grpc-status", status.to_string())
    }

    /// A gRPC response without a message: `grpc-status` is a header, and nothing follows ("trailers only").
    pub fn grpc_trailers_only(status: u32) -> Self {
        Self::new(200)
            .without_body()
            .header("content-type", "application/grpc")
            .header("grpc-status", status.to_string())
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds a trailer.
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Breaks the response off: the connection is reset before the announced end.
    pub fn broken_off(mut self) -> Self {
        self.broken_off = true;
        self
    }

    /// Removes the body.
    pub fn without_body(mut self) -> Self {
        self.body.clear();
        self
    }

    /// The values of a header as text, one for each line.
    pub fn all(&self, name: &str) -> Vec<String> {
        lines(&self.headers, name)
    }

    /// The only value of a header; `None` if it is absent. Panics if there are several lines.
    pub fn get_header(&self, name: &str) -> Option<String> {
        only(&self.headers, name)
    }

    /// The only value of a trailer; `None` if it is absent. Panics if there are several lines.
    pub fn get_trailer(&self, name: &str) -> Option<String> {
        only(&self.trailers, name)
    }
}

fn lines(headers: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    headers
        .iter()
        .filter(|(other, _)| other == name)
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

fn only(headers: &[(String, Vec<u8>)], name: &str) -> Option<String> {
    let mut lines = lines(headers, name);
    assert!(
        lines.len() <= 1,
        "{name} stands {} times: {lines:?}",
        lines.len()
    );
    lines.pop()
}
