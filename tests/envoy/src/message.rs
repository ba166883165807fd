//! HTTP messages as bytes, as the client sends and receives them, and as the upstream receives them.
//!
//! Nothing is normalised. A filter may mishandle header order, duplicates, the case of names, or bytes that are not
//! UTF-8, so a test must be able to send and see them.

use std::fmt;

/// Header or trailer fields in order, with duplicates.
///
/// Look-ups ignore the case of ASCII letters in names, as in HTTP.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// Adds a field at the end.
    pub fn push(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the first field of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The value of the first field of that name, as text.
    ///
    /// # Panics
    /// If the value is not UTF-8; `None` would read as "absent".
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        let text = std::str::from_utf8(value);
        Some(text.unwrap_or_else(|_| panic!("{name} is not UTF-8: {}", value.escape_ascii())))
    }

    /// The values of all fields of that name, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Every field as (name, value), in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readable = |(name, value): (&[u8], &[u8])| {
            format!("{}: {}", name.escape_ascii(), value.escape_ascii())
        };
        f.debug_list().entries(self.iter().map(readable)).finish()
    }
}

/// A request: one to send, or one that the upstream received.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in its original case.
    pub method: String,
    /// The request target (HTTP/2: `:path`) exactly as on the wire, with its query: `/a/../b?c`.
    pub target: String,
    /// Header fields. Over HTTP/2 `host` stands for `:authority`, in both directions.
    pub headers: Headers,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
    /// Trailer fields, sent after the body.
    pub trailers: Headers,
}

impl Request {
    /// A request without header fields or body.
    ///
    /// When it is sent, `host: test.example` and, for a body, the framing field
    /// (`content-length`, or `transfer-encoding: chunked` if there are trailers) are added
    /// unless the request has such a field itself. Nothing else ever is.
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Headers::default(),
            body: Vec::new(),
            trailers: Headers::default(),
        }
    }

    /// `GET target`.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// `POST target` with a body.
    pub fn post(target: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::new("POST", target)
        }
    }

    /// Adds a header field after the existing ones, even if one has the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds a trailer field.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push(name, value);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &self.headers)
            .field("body", &self.body.escape_ascii().to_string())
            .field("trailers", &self.trailers)
            .finish()
    }
}

/// A response as the client received it.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code of the final response; informational ones (1xx) are skipped.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// The body without chunk framing, as far as it arrived.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Headers,
    /// Whether the response is complete. False if the connection was closed or the stream was reset in the body.
    pub complete: bool,
}

impl Response {
    /// The value of the first header field of that name, as text: [`Headers::text`].
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.text(name)
    }

    /// The body as text, with replacement characters where it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body.escape_ascii().to_string())
            .field("trailers", &self.trailers)
            .field("complete", &self.complete)
            .finish()
    }
}
