//! What a client sends and what it (or a filter's HTTP call) receives.

use std::fmt;

use crate::grpc;
use crate::headers::Headers;
use crate::outcome::Body;
use crate::properties::{Properties, PropertyValue};

/// The protocol between the client and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1: the end of a body comes as an empty last piece; a client that goes away shows as
    /// `DC`.
    Http1,
    /// HTTP/2: the last piece of a body carries the end; a client that resets its stream shows as
    /// `DR`.
    Http2,
}

impl Protocol {
    /// As `request.protocol` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// A request, as a client sends it or as an upstream receives it.
#[derive(Clone)]
pub struct Request {
    pub(crate) headers: Headers,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Headers,
    pub(crate) properties: Properties,
    pub(crate) protocol: Protocol,
    /// Nothing is added to the headers, and nothing is taken away.
    pub(crate) exact: bool,
}

impl Request {
    /// A request with exactly these headers, pseudo headers among them: the host adds none
    /// (`x-forwarded-proto`, `x-request-id`), and removes none that Envoy takes from clients.
    ///
    /// ```
    /// # use proxy_wasm_native_host::Request;
    /// let request = Request::exact([(":method", "GET"), (":path", "/"), (":authority", "a")]);
    /// assert_eq!(request.headers().len(), 3);
    /// ```
    pub fn exact<N: AsRef<str>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut exact = Headers::new();
        for (name, value) in headers {
            exact.add(name.as_ref(), value);
        }
        Self {
            headers: exact,
            chunks: Vec::new(),
            trailers: Headers::new(),
            properties: Properties::default(),
            protocol: Protocol::Http1,
            exact: true,
        }
    }

    /// A request to `example.com` over plain HTTP/1.1, without a body.
    pub fn new(method: &str, path: &str) -> Self {
        let mut headers = Headers::new();
        headers.add(":authority", "example.com");
        headers.add(":path", path);
        headers.add(":method", method);
        headers.add(":scheme", "http");
        Self {
            headers,
            exact: false,
            ..Self::exact::<&str, &str>([])
        }
    }

    /// A GET request.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST request; see [`body`](Self::body).
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// Adds a header field. `host` sets `:authority`.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "host" => self.headers.overwrite(":authority", value.as_ref()),
            name => self.headers.add(name, value),
        }
        self
    }

    /// Sets the whole body, with its `content-length`.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.headers
            .set("content-length", body.as_ref().len().to_string());
        self.chunks = pieces(body.as_ref());
        self
    }

    /// Adds a piece to a body of unknown length. Filters get each piece by itself.
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.chunks.push(bytes.as_ref().to_vec());
        self
    }

    /// Adds a trailer field.
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.add(name, value);
        self
    }

    /// Gives a property (`connection.tls_version`, `xds.cluster_metadata` …) a value for this
    /// request, in every phase. What is not given has the value that Envoy would give it.
    pub fn property(mut self, path: &str, value: impl Into<PropertyValue>) -> Self {
        self.properties.insert(path, value);
        self
    }

    /// Sends the request over TLS: sets the scheme, `x-forwarded-proto` and
    /// `connection.tls_version`.
    pub fn tls(mut self) -> Self {
        self.headers.overwrite(":scheme", b"https");
        self.headers.overwrite("x-forwarded-proto", b"https");
        self.property("connection.tls_version", "TLSv1.3")
    }

    /// Chooses the protocol; HTTP/1.1 is the default.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// A gRPC request over HTTP/2 to `/service/method`.
    pub fn grpc(path: &str) -> Self {
        Self::post(path)
            .protocol(Protocol::Http2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    }

    /// The headers, pseudo headers first.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The trailers.
    pub fn trailers(&self) -> &Headers {
        &self.trailers
    }

    /// The whole body.
    pub fn body_bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The value of `:method`.
    pub fn method(&self) -> &str {
        self.headers.get(":method").unwrap_or_default()
    }

    /// The value of `:path`, with the query.
    pub fn path(&self) -> &str {
        self.headers.get(":path").unwrap_or_default()
    }

    /// A header's first value, if it is UTF-8.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(
            f,
            "Request",
            &self.headers,
            &self.body_bytes(),
            &self.trailers,
        )
    }
}

/// A response, as an upstream gives it or as the client receives it.
#[derive(Clone)]
pub struct Response {
    pub(crate) headers: Headers,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Headers,
    pub(crate) properties: Properties,
}

impl Response {
    /// A response without a body.
    pub fn new(status: u16) -> Self {
        let mut headers = Headers::new();
        headers.add(":status", status.to_string());
        Self::from_headers(headers)
    }

    /// A reply of Envoy to a request of gRPC, or else of plain HTTP.
    pub(crate) fn local_for(is_grpc: bool, status: u16, text: &str) -> Self {
        match is_grpc {
            true => Self::new(200)
                .header("content-type", "application/grpc")
                .header("grpc-status", grpc::from_http(status).to_string())
                .header("grpc-message", grpc::message(text.as_bytes())),
            false => Self::local(status, text),
        }
    }

    /// A response as Envoy makes it up for its own HTTP clients.
    pub(crate) fn local(status: u16, body: &str) -> Self {
        Self::new(status)
            .body(body)
            .header("content-type", "text/plain")
    }

    pub(crate) fn from_headers(headers: Headers) -> Self {
        Self {
            headers,
            chunks: Vec::new(),
            trailers: Headers::new(),
            properties: Properties::default(),
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Sets the whole body, with its `content-length`.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.headers
            .set("content-length", body.as_ref().len().to_string());
        self.chunks = pieces(body.as_ref());
        self
    }

    /// Adds a piece to a body of unknown length. Filters get each piece by itself.
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.chunks.push(bytes.as_ref().to_vec());
        self
    }

    /// Adds a trailer field.
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.add(name, value);
        self
    }

    /// Gives a property a value from the arrival of this response on, as a native filter between the
    /// plugins and the upstream would. Dynamic metadata have the path `metadata.filter_metadata`, then
    /// their namespace and key.
    pub fn property(mut self, path: &str, value: impl Into<PropertyValue>) -> Self {
        self.properties.insert(path, value);
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        let status = self.headers.get(":status").unwrap_or_default();
        status.parse().unwrap_or_default()
    }

    /// The headers, `:status` first.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The trailers.
    pub fn trailers(&self) -> &Headers {
        &self.trailers
    }

    /// The whole body.
    pub fn body_bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The whole body as text; what is not UTF-8 is replaced.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body_bytes()).into_owned()
    }

    /// A header's first value, if it is UTF-8.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

/// A body as a whole: an empty one is none.
fn pieces(body: &[u8]) -> Vec<Vec<u8>> {
    match body {
        [] => Vec::new(),
        body => vec![body.to_vec()],
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(
            f,
            "Response",
            &self.headers,
            &self.body_bytes(),
            &self.trailers,
        )
    }
}

fn debug(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    headers: &Headers,
    body: &[u8],
    trailers: &Headers,
) -> fmt::Result {
    let mut message = f.debug_struct(name);
    message.field("headers", headers);
    if !body.is_empty() {
        message.field("body", &format_args!("{}", Body(body)));
    }
    if !trailers.is_empty() {
        message.field("trailers", trailers);
    }
    message.finish()
}
