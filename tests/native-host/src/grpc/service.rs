//! gRPC services, as a test describes them.

use std::time::Duration;

use crate::headers::Headers;
use crate::message::{Request, Response};
use crate::upstream::{Answer, AnswerKind};

/// What a service is sent: a call with its message, or one step of a stream.
#[derive(Clone, Debug)]
pub struct GrpcRequest {
    pub(crate) request: Request,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) stage: GrpcStage,
}

/// How far a filter's gRPC request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrpcStage {
    /// A call with one message, all of it.
    Call,
    /// A stream was opened.
    Opened,
    /// The filter sent a message on a stream.
    Message,
    /// The filter will send no more on a stream.
    Ended,
}

impl GrpcRequest {
    /// How far the request is: a service is asked at each stage.
    pub fn stage(&self) -> GrpcStage {
        self.stage
    }

    /// The service's full name: `shop.v1.Cart`.
    pub fn service(&self) -> &str {
        self.path().0
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        self.path().1
    }

    fn path(&self) -> (&str, &str) {
        let path = self.request.path().trim_start_matches('/');
        path.split_once('/').unwrap_or((path, ""))
    }

    /// All headers, among them the metadata that the filter gave.
    pub fn metadata(&self) -> &Headers {
        self.request.headers()
    }

    /// The message that was sent last; empty if none was.
    pub fn message(&self) -> &[u8] {
        self.messages.last().map_or(&[], Vec::as_slice)
    }

    /// All messages that were sent so far.
    pub fn messages(&self) -> &[Vec<u8>] {
        &self.messages
    }

    /// The request as HTTP has it, with its messages in frames.
    pub fn as_http(&self) -> &Request {
        &self.request
    }
}

/// What a service answers, or does at one stage of a stream.
///
/// ```
/// # use std::time::Duration;
/// # use proxy_wasm_native_host::GrpcReply;
/// let answer = GrpcReply::ok(b"message").metadata("x-served-by", "a");
/// let refusal = GrpcReply::error(7, "not yours").after(Duration::from_millis(20));
/// let part_of_a_stream = GrpcReply::message(b"one").and_message(b"two");
/// let silence = GrpcReply::nothing();
/// ```
#[derive(Clone, Debug)]
pub struct GrpcReply {
    pub(crate) content: Content,
    pub(crate) delay: Duration,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// What the service does by itself.
    Script(Script),
    /// What happens to the HTTP request.
    Http(AnswerKind),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) metadata: Headers,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) trailers: Headers,
    pub(crate) end: Option<(u32, String)>,
}

impl GrpcReply {
    /// A message and status 0, which is all that a call needs. On a stream it ends that.
    pub fn ok(message: impl AsRef<[u8]>) -> Self {
        Self::message(message).and_end(0, "")
    }

    /// A status other than 0 without a message: `14`, `no way`.
    pub fn error(status: u32, text: &str) -> Self {
        Self::nothing().and_end(status, text)
    }

    /// A message on a stream that goes on.
    pub fn message(message: impl AsRef<[u8]>) -> Self {
        Self::nothing().and_message(message)
    }

    /// No reaction. A call waits for its timeout then, or is answered by hand.
    pub fn nothing() -> Self {
        Self {
            content: Content::Script(Script::default()),
            delay: Duration::ZERO,
        }
    }

    /// Adds a message.
    pub fn and_message(self, message: impl AsRef<[u8]>) -> Self {
        self.with(|script| script.messages.push(message.as_ref().to_vec()))
    }

    /// Ends the stream, or the call, with a status and its text.
    pub fn and_end(self, status: u32, text: &str) -> Self {
        self.with(|script| script.end = Some((status, text.to_owned())))
    }

    /// Adds initial metadata. They are sent once, with the first reply on a stream.
    pub fn metadata(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with(|script| script.metadata.add(name, value))
    }

    /// Adds trailing metadata, which go with the end.
    pub fn trailer(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with(|script| script.trailers.add(name, value))
    }

    /// Lets virtual time pass before; see [`Host::advance`](crate::Host::advance).
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    #[track_caller]
    fn with(mut self, change: impl FnOnce(&mut Script)) -> Self {
        match &mut self.content {
            Content::Script(script) => change(script),
            Content::Http(_) => panic!("this reply is an HTTP answer, to which nothing is added"),
        }
        self
    }
}

/// What can go wrong with an HTTP request can with a gRPC request.
impl From<Answer> for GrpcReply {
    fn from(answer: Answer) -> Self {
        Self {
            content: Content::Http(answer.kind),
            delay: answer.delay,
        }
    }
}

/// A response of the HTTP server that serves gRPC: frames, trailers and all.
impl From<Response> for GrpcReply {
    fn from(response: Response) -> Self {
        Answer::from(response).into()
    }
}
