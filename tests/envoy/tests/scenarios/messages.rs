//! Converts messages between the scenarios and this harness.

use portcullis_envoy_tests::message::{self, Headers};
use portcullis_envoy_tests::upstream::{Ending, Reply};
use portcullis_scenarios::{Answer, Request, Response};

pub(crate) fn on_the_wire(request: Request) -> message::Request {
    let message = message::Request {
        body: request.body,
        ..message::Request::new(request.method, request.path)
    };
    let mut message = message.header("host", request.host);
    if let Some(client) = request.client {
        // By default, Envoy trusts the header.
        message = message.header("x-forwarded-for", client.to_string());
    }
    let headers = request.headers.into_iter();
    headers.fold(message, |message, (name, value)| {
        message.header(name, value)
    })
}

pub(crate) fn as_received(received: &message::Request) -> Request {
    let host = received.headers.text("host").unwrap_or_default().to_owned();
    let mut headers = in_lower_case(&received.headers);
    headers.retain(|(name, _)| name != "host");
    Request {
        host,
        // Envoy speaks to the upstream without TLS.
        tls: false,
        http2: false,
        client: None,
        headers,
        method: received.method.clone(),
        path: received.target.clone(),
        body: received.body.clone(),
    }
}

pub(crate) fn as_response(response: message::Response) -> Response {
    Response {
        status: response.status,
        headers: in_lower_case(&response.headers),
        body: response.body,
        trailers: in_lower_case(&response.trailers),
        broken_off: !response.complete,
    }
}

pub(crate) fn reply(answer: Answer) -> Reply {
    let reply = match answer.response {
        None => Reply::none(Ending::Close),
        Some(response) => reply_with(response),
    };
    reply.delay(answer.delay)
}

fn reply_with(response: Response) -> Reply {
    let mut reply = Reply::new(response.status).body(response.body);
    for (name, value) in response.headers {
        reply = reply.header(name, value);
    }
    for (name, value) in response.trailers {
        reply = reply.trailer(name, value);
    }
    match response.broken_off {
        true => reply.ending(Ending::Reset),
        false => reply,
    }
}

fn in_lower_case(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let headers = headers.iter().map(|(name, value)| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        (name, value.to_vec())
    });
    headers.collect()
}
