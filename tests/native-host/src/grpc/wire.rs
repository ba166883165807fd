//! gRPC as HTTP carries it, and what Envoy's gRPC client makes of it.

use std::time::Duration;

use super::service::{Content, GrpcReply, Script};
use super::{UNAVAILABLE, from_http};
use crate::headers::Headers;
use crate::message::{Protocol, Request, Response};
use crate::upstream::{
    Answer, AnswerKind, CONNECTION_FAILURE, CONNECTION_FAILURE_DETAILS, CONNECTION_TERMINATION,
    CONNECTION_TERMINATION_DETAILS, NO_HEALTHY_UPSTREAM, RESET_AFTER_DETAILS, reset_before_headers,
};

const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;

/// An event of a gRPC request, as its filter receives it.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Metadata(Headers),
    Message(Vec<u8>),
    End(End),
}

#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) trailers: Headers,
    pub(crate) status: u32,
    /// What `proxy_get_status` gives.
    pub(crate) text: String,
}

/// The headers that Envoy sends to the service.
pub(crate) fn request(
    cluster: &str,
    service: &str,
    method: &str,
    metadata: &Headers,
    timeout: Option<u32>,
) -> Request {
    let mut headers = Headers::new();
    headers.add(":method", "POST");
    headers.add(":path", format!("/{service}/{method}"));
    headers.add(":authority", cluster);
    headers.add(":scheme", "http");
    headers.add("te", "trailers");
    if let Some(timeout) = timeout {
        headers.add("grpc-timeout", format!("{timeout}m"));
    }
    headers.add("content-type", "application/grpc");
    for (name, value) in metadata.iter() {
        headers.add(name, value);
    }
    headers.set("x-envoy-internal", "true");
    if let Some(timeout) = timeout.filter(|timeout| *timeout > 0) {
        headers.set("x-envoy-expected-rq-timeout-ms", timeout.to_string());
    }
    let mut request = Request::get("/").protocol(Protocol::Http2);
    request.headers = headers;
    request
}

/// A message with its header of five bytes: not compressed, and how long it is.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// The messages in a body; none if it is malformed.
pub(crate) fn messages(mut body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let (header, rest) = body.split_at_checked(5)?;
        let size = u32::from_be_bytes(header.get(1..)?.try_into().ok()?) as usize;
        let (message, rest) = rest.split_at_checked(size)?;
        messages.push(message.to_vec());
        body = rest;
    }
    Some(messages)
}

/// Whether the headers are those of a gRPC request.
pub(crate) fn is_grpc(headers: &Headers) -> bool {
    let content_type = headers.get("content-type");
    content_type.is_some_and(|it| it.starts_with("application/grpc"))
}

/// A reply as the HTTP answer that carries it.
pub(crate) fn answer(reply: GrpcReply) -> Answer {
    let kind = match reply.content {
        Content::Http(kind) => kind,
        Content::Script(script) => match response(script) {
            Some(response) => AnswerKind::Response(response),
            None => AnswerKind::Never,
        },
    };
    Answer::from(kind).after(reply.delay)
}

/// The HTTP response of a service; `None` if that does not end it.
fn response(script: Script) -> Option<Response> {
    let (status, text) = script.end?;
    let mut fields = Headers::new();
    fields.add("grpc-status", status.to_string());
    if !text.is_empty() {
        fields.add("grpc-message", super::message(text.as_bytes()));
    }
    for (name, value) in script.trailers.iter() {
        fields.add(name, value);
    }
    let mut response = Response::new(200).header("content-type", "application/grpc");
    for (name, value) in script.metadata.iter() {
        response = response.header(name, value);
    }
    let is_only_status = script.messages.is_empty() && script.metadata.is_empty();
    for (name, value) in fields.iter() {
        response = match is_only_status {
            true => response.header(name, value),
            false => response.trailer(name, value),
        };
    }
    for message in &script.messages {
        response = response.chunk(frame(message));
    }
    Some(response)
}

/// How far the exchange is that a reply belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The filter has got the initial metadata.
    pub(crate) begun: bool,
    /// How long ago the request was complete, if it is.
    pub(crate) elapsed: Option<Duration>,
}

/// The events that a filter receives for a reply.
pub(crate) fn pieces(content: Content, progress: Progress) -> Vec<Piece> {
    match content {
        Content::Script(script) => of_script(script, progress),
        Content::Http(kind) => of_answer(kind, progress),
    }
}

fn of_script(script: Script, progress: Progress) -> Vec<Piece> {
    let Script {
        metadata,
        messages,
        trailers,
        end,
    } = script;
    if messages.is_empty() && metadata.is_empty() && end.is_none() {
        return Vec::new();
    }
    let mut headers = Response::new(200).header("content-type", "application/grpc");
    for (name, value) in metadata.iter() {
        headers = headers.header(name, value);
    }
    let status = end.map(|(status, text)| {
        let mut fields = Headers::new();
        fields.add("grpc-status", status.to_string());
        if !text.is_empty() {
            fields.add("grpc-message", super::message(text.as_bytes()));
        }
        for (name, value) in trailers.iter() {
            fields.add(name, value);
        }
        fields
    });
    if !progress.begun && messages.is_empty() && metadata.is_empty() {
        // A status and nothing else is sent in the headers.
        for (name, value) in status.iter().flat_map(Headers::iter) {
            headers = headers.header(name, value);
        }
        return of_response(headers, progress);
    }
    let mut pieces = Vec::new();
    if !progress.begun {
        pieces.push(Piece::Metadata(timed(headers.headers, progress)));
    }
    pieces.extend(messages.into_iter().map(Piece::Message));
    pieces.extend(status.map(|trailers| Piece::End(End::of(trailers))));
    pieces
}

fn of_answer(kind: AnswerKind, progress: Progress) -> Vec<Piece> {
    let (text, details) = match kind {
        AnswerKind::Response(response) => return of_response(response, progress),
        AnswerKind::ResetAfter(response) => return of_broken(response, progress),
        AnswerKind::Never => return Vec::new(),
        AnswerKind::Reset => (
            reset_before_headers(CONNECTION_TERMINATION, false),
            CONNECTION_TERMINATION_DETAILS,
        ),
        AnswerKind::ConnectFailure => (
            reset_before_headers(CONNECTION_FAILURE, false),
            CONNECTION_FAILURE_DETAILS,
        ),
        AnswerKind::NoHealthyUpstream => (NO_HEALTHY_UPSTREAM.to_owned(), "no_healthy_upstream"),
    };
    unavailable(&text, details)
}

/// What the router says to a gRPC client when there is no response.
pub(crate) fn unavailable(text: &str, details: &str) -> Vec<Piece> {
    let mut trailers = Headers::new();
    trailers.add(":status", "200");
    trailers.add("content-type", "application/grpc");
    trailers.add("grpc-status", UNAVAILABLE.to_string());
    trailers.add("grpc-message", super::message(text.as_bytes()));
    let end = End {
        trailers,
        status: UNAVAILABLE,
        text: format!("{text}{{{details}}}"),
    };
    vec![Piece::Metadata(Headers::new()), Piece::End(end)]
}

fn of_response(response: Response, progress: Progress) -> Vec<Piece> {
    let has_status = response.headers.contains("grpc-status");
    let only_headers = response.chunks.is_empty() && response.trailers.is_empty();
    let headers = timed(response.headers.clone(), progress);
    if only_headers && (has_status || response.status() == 200) {
        return vec![
            Piece::Metadata(Headers::new()),
            Piece::End(End::of(headers)),
        ];
    }
    if response.status() != 200 {
        let end = End::without_trailers(from_http(response.status()), "via_upstream");
        return vec![Piece::Metadata(Headers::new()), Piece::End(end)];
    }
    let mut pieces = vec![Piece::Metadata(headers)];
    let Some(messages) = messages(&response.body_bytes()) else {
        let end = End::without_trailers(INTERNAL, "via_upstream");
        pieces.push(Piece::End(end));
        return pieces;
    };
    pieces.extend(messages.into_iter().map(Piece::Message));
    pieces.push(Piece::End(match response.trailers.is_empty() {
        true => End::without_trailers(UNKNOWN, "via_upstream"),
        false => End::of(response.trailers),
    }));
    pieces
}

fn of_broken(response: Response, progress: Progress) -> Vec<Piece> {
    let headers = timed(response.headers.clone(), progress);
    let messages = messages(&response.body_bytes()).unwrap_or_default();
    let mut pieces = vec![Piece::Metadata(headers)];
    pieces.extend(messages.into_iter().map(Piece::Message));
    let end = End::without_trailers(INTERNAL, RESET_AFTER_DETAILS);
    pieces.push(Piece::End(end));
    pieces
}

/// Envoy says how long the upstream took, once it has the whole request.
fn timed(mut headers: Headers, progress: Progress) -> Headers {
    if let Some(elapsed) = progress.elapsed {
        let milliseconds = elapsed.as_millis().to_string();
        headers.add("x-envoy-upstream-service-time", milliseconds);
    }
    headers
}

impl End {
    fn of(trailers: Headers) -> Self {
        let status = trailers.get("grpc-status");
        let status = status.and_then(|status| status.parse().ok());
        let message = trailers.get("grpc-message").unwrap_or_default();
        let text = match message {
            "" => "via_upstream".to_owned(),
            message => format!("{message}{{via_upstream}}"),
        };
        Self {
            status: status.unwrap_or(UNKNOWN),
            text,
            trailers,
        }
    }

    fn without_trailers(status: u32, details: &str) -> Self {
        Self {
            trailers: Headers::new(),
            status,
            text: details.to_owned(),
        }
    }
}

/// What a call comes to: its message, or a status and why.
pub(crate) fn outcome_of_call(pieces: Vec<Piece>) -> Option<Result<Vec<u8>, (u32, String)>> {
    let mut answer = None;
    for piece in pieces {
        match piece {
            Piece::Metadata(_) => {}
            Piece::Message(message) => answer = Some(message),
            Piece::End(End { status: 0, .. }) => {
                return Some(answer.ok_or((INTERNAL, String::new())));
            }
            Piece::End(End { status, text, .. }) => return Some(Err((status, text))),
        }
    }
    None
}
