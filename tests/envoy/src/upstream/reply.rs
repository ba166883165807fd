//! Replies of the scripted upstream, including the failures of real upstreams.

use std::time::Duration;

use crate::message::Headers;

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Completely: the body is as long as announced.
    Complete,
    /// The connection is closed (TCP FIN) while more was announced.
    Close,
    /// The connection is reset (TCP RST), or over HTTP/2 the stream (INTERNAL_ERROR), while
    /// more was announced.
    Reset,
    /// Nothing more is sent, and the connection stays open until Envoy closes it.
    Hang,
}

/// One reply of the scripted upstream.
///
/// `content-length` is added unless the reply has this field or `transfer-encoding`. With trailers, the body is chunked
/// instead. Nothing else is added.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `None`: not even a status line is sent.
    pub(crate) status: Option<u16>,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

impl Reply {
    /// A complete reply without header fields or body.
    pub fn new(status: u16) -> Self {
        Self {
            status: Some(status),
            headers: Headers::default(),
            body: Vec::new(),
            trailers: Headers::default(),
            delay: Duration::ZERO,
            ending: Ending::Complete,
        }
    }

    /// No reply: the request is read, and then the connection or stream ends this way.
    ///
    /// `Reply::none(Ending::Hang)` is an upstream that never answers.
    pub fn none(ending: Ending) -> Self {
        Self {
            status: None,
            ending,
            ..Self::new(0)
        }
    }

    /// Adds a header field after the existing ones, even if one has the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a trailer field, such as gRPC's `grpc-status`.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push(name, value);
        self
    }

    /// Waits before the first byte. To hold a reply until a moment in the test, block in the script instead: it has its
    /// own thread.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Ends the reply in another way, after the header fields and the body. The response then announces one byte more
    /// than it has.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}
