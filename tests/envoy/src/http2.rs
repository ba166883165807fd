//! HTTP/2 without TLS (prior knowledge), for the client and the scripted upstream.
//!
//! Header fields pass through the `http` crate's map: names must be lower case, and fields of
//! the same name end up next to each other. Where exact order matters, use HTTP/1.

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tokio::sync::Notify;

use crate::message::{Headers, Request, Response};
use crate::runtime::SETTLE;
use crate::upstream::{Ending, Reply};

/// Sends a request and reads its response.
///
/// An error means that no header arrived. If the stream is reset in the body, the response has `complete: false`.
pub(crate) async fn exchange(
    sender: SendRequest<Bytes>,
    request: &Request,
) -> io::Result<Response> {
    let mut sender = sender.ready().await.map_err(io::Error::other)?;
    let ended = request.body.is_empty() && request.trailers.is_empty();
    let (response, mut stream) = sender
        .send_request(request_head(request)?, ended)
        .map_err(io::Error::other)?;
    if !ended {
        // If Envoy has already answered, it accepts no more of the request. Only the response counts.
        let _ = send_body(&mut stream, &request.body, &request.trailers);
    }
    let (head, mut body) = response.await.map_err(io::Error::other)?.into_parts();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: headers(&head.headers),
        body: Vec::new(),
        trailers: Headers::default(),
        complete: false,
    };
    let read = read_body(&mut body, &mut response.body, &mut response.trailers);
    response.complete = read.await.is_ok();
    Ok(response)
}

/// Reads the rest of a request whose header has arrived.
pub(crate) async fn read_request(request: http::Request<RecvStream>) -> io::Result<Request> {
    let (head, mut stream) = request.into_parts();
    let target = head.uri.path_and_query().map_or("*", |it| it.as_str());
    let mut request = Request::new(head.method.as_str(), target);
    if let Some(authority) = head.uri.authority() {
        request.headers.push("host", authority.as_str());
    }
    for (name, value) in &head.headers {
        request.headers.push(name.as_str(), value.as_bytes());
    }
    read_body(&mut stream, &mut request.body, &mut request.trailers)
        .await
        .map_err(io::Error::other)?;
    Ok(request)
}

/// Sends a reply with its ending. `close` is notified if the connection must be closed.
pub(crate) async fn send_reply(
    mut respond: SendResponse<Bytes>,
    reply: &Reply,
    close: &Notify,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(status) = reply.status else {
        match reply.ending {
            Ending::Complete => {}
            Ending::Close => close_connection(close).await,
            Ending::Reset => respond.send_reset(Reason::INTERNAL_ERROR),
            Ending::Hang => drop(poll_fn(|context| respond.poll_reset(context)).await),
        }
        return Ok(());
    };
    let mut head = http::Response::new(());
    *head.status_mut() = status.try_into()?;
    *head.headers_mut() = header_map(&reply.headers)?;
    let complete = reply.ending == Ending::Complete;
    let ended = complete && reply.body.is_empty() && reply.trailers.is_empty();
    let mut stream = respond.send_response(head, ended)?;
    if ended {
        return Ok(());
    }
    if complete {
        return Ok(send_body(&mut stream, &reply.body, &reply.trailers)?);
    }
    stream.send_data(Bytes::copy_from_slice(&reply.body), false)?;
    // A reset now would overtake the header and the data, which are still queued.
    tokio::time::sleep(SETTLE).await;
    match reply.ending {
        Ending::Complete => {}
        Ending::Close => close_connection(close).await,
        Ending::Reset => stream.send_reset(Reason::INTERNAL_ERROR),
        Ending::Hang => drop(poll_fn(|context| stream.poll_reset(context)).await),
    }
    Ok(())
}

/// Never returns: the stream must stay open until the connection is closed, because dropping it would reset it.
async fn close_connection(close: &Notify) {
    close.notify_one();
    std::future::pending().await
}

fn request_head(request: &Request) -> io::Result<http::Request<()>> {
    let authority = request.headers.get("host").unwrap_or(b"test.example");
    let uri = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query(request.target.as_str())
        .build();
    let mut head = http::Request::new(());
    *head.method_mut() = request.method.parse().map_err(io::Error::other)?;
    *head.uri_mut() = uri.map_err(io::Error::other)?;
    *head.headers_mut() = header_map(&request.headers).map_err(io::Error::other)?;
    head.headers_mut().remove(http::header::HOST);
    Ok(head)
}

fn send_body(
    stream: &mut h2::SendStream<Bytes>,
    body: &[u8],
    trailers: &Headers,
) -> Result<(), h2::Error> {
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), trailers.is_empty())?;
    }
    if trailers.is_empty() {
        return Ok(());
    }
    let trailers = header_map(trailers).map_err(|_| Reason::PROTOCOL_ERROR)?;
    stream.send_trailers(trailers)
}

/// Adds the received bytes to `body` and `trailers`, which keep them after an error.
async fn read_body(
    stream: &mut RecvStream,
    body: &mut Vec<u8>,
    trailers: &mut Headers,
) -> Result<(), h2::Error> {
    while let Some(data) = stream.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    if let Some(fields) = stream.trailers().await? {
        *trailers = headers(&fields);
    }
    Ok(())
}

fn headers(map: &HeaderMap) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in map {
        headers.push(name.as_str(), value.as_bytes());
    }
    headers
}

fn header_map(headers: &Headers) -> Result<HeaderMap, http::Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        map.append(
            HeaderName::from_bytes(name)?,
            HeaderValue::from_bytes(value)?,
        );
    }
    Ok(map)
}
