//! HTTP/1.1 on the wire, byte by byte, for the client and the scripted upstream.

mod encode;

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::message::{Headers, Request, Response};

pub(crate) use encode::{encode_reply, encode_request};

/// More fields than any test sends; Envoy's own limit is 100.
const MAX_FIELDS: usize = 256;

/// A connection that reads whole messages. Bytes after a message are kept for the next one.
pub(crate) struct Wire<S> {
    stream: S,
    unread: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads a request; `None` if the peer closed the connection instead of sending one.
    pub(crate) async fn read_request(&mut self) -> io::Result<Option<Request>> {
        let Some(head) = self.read_head().await? else {
            return Ok(None);
        };
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        parsed.parse(&head).map_err(invalid)?;
        let mut request = Request::new(
            parsed.method.unwrap_or_default(),
            parsed.path.unwrap_or_default(),
        );
        request.headers = headers(parsed.headers);
        let framing = Framing::of(&request.headers)?.unwrap_or(Framing::Length(0));
        self.read_body(framing, &mut request.body, &mut request.trailers)
            .await?;
        Ok(Some(request))
    }

    /// Reads a final response and skips informational ones. `to_head`: it answers a HEAD request, so it has no body.
    ///
    /// An error means that no header arrived. If the body is cut off, the response has `complete: false`.
    pub(crate) async fn read_response(&mut self, to_head: bool) -> io::Result<Response> {
        let mut response = self.read_response_head().await?;
        while (100..200).contains(&response.status) {
            response = self.read_response_head().await?;
        }
        let framing = if to_head || matches!(response.status, 204 | 304) {
            Framing::Length(0)
        } else {
            Framing::of(&response.headers)?.unwrap_or(Framing::UntilClose)
        };
        let body = self.read_body(framing, &mut response.body, &mut response.trailers);
        response.complete = body.await.is_ok();
        Ok(response)
    }

    /// Waits until the peer closes the connection.
    pub(crate) async fn wait_for_close(&mut self) -> io::Result<()> {
        while self.read_more().await? {
            self.unread.clear();
        }
        Ok(())
    }

    async fn read_response_head(&mut self) -> io::Result<Response> {
        let head = self.read_head().await?;
        let head = head.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        parsed.parse(&head).map_err(invalid)?;
        Ok(Response {
            status: parsed.code.unwrap_or_default(),
            headers: headers(parsed.headers),
            body: Vec::new(),
            trailers: Headers::default(),
            complete: false,
        })
    }

    /// The start line and the header fields with the empty line that ends them.
    async fn read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|end| end == b"\r\n\r\n") {
                return Ok(Some(self.unread.drain(..at + 4).collect()));
            }
            if !self.read_more().await? {
                return match self.unread.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Adds the received bytes to `body` and `trailers`, which keep them after an error.
    async fn read_body(
        &mut self,
        framing: Framing,
        body: &mut Vec<u8>,
        trailers: &mut Headers,
    ) -> io::Result<()> {
        match framing {
            Framing::Length(length) => self.read_exactly(length, body).await,
            Framing::Chunked => {
                loop {
                    let line = self.read_line().await?;
                    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(size).map_err(invalid)?;
                    let size = usize::from_str_radix(size.trim(), 16).map_err(invalid)?;
                    if size == 0 {
                        break;
                    }
                    self.read_exactly(size, body).await?;
                    self.read_line().await?;
                }
                self.read_trailers(trailers).await
            }
            Framing::UntilClose => loop {
                body.append(&mut self.unread);
                if !self.read_more().await? {
                    return Ok(());
                }
            },
        }
    }

    async fn read_trailers(&mut self, trailers: &mut Headers) -> io::Result<()> {
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                return Ok(());
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or_else(|| invalid("trailer"))?);
            trailers.push(name, value[1..].trim_ascii());
        }
    }

    async fn read_exactly(&mut self, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let mut missing = length;
        loop {
            let available = missing.min(self.unread.len());
            into.extend(self.unread.drain(..available));
            missing -= available;
            if missing == 0 {
                return Ok(());
            }
            if !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(2).position(|end| end == b"\r\n") {
                let mut line: Vec<u8> = self.unread.drain(..at + 2).collect();
                line.truncate(at);
                return Ok(line);
            }
            if !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// False at the end of the stream.
    async fn read_more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

/// The framing of a body.
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Framing {
    /// `None`: the fields do not specify it.
    fn of(headers: &Headers) -> io::Result<Option<Self>> {
        if headers.get("transfer-encoding").is_some() {
            return Ok(Some(Self::Chunked));
        }
        let Some(length) = headers.get("content-length") else {
            return Ok(None);
        };
        let length = std::str::from_utf8(length).map_err(invalid)?;
        Ok(Some(Self::Length(length.parse().map_err(invalid)?)))
    }
}

fn headers(fields: &[httparse::Header<'_>]) -> Headers {
    let mut headers = Headers::default();
    for field in fields {
        headers.push(field.name, field.value);
    }
    headers
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
