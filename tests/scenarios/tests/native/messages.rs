//! Converts messages of scenarios to messages of the native host and back.

use std::net::{IpAddr, SocketAddr};

use portcullis_scenarios::{Answer, Request, Response, USAGE_HEADER, USAGE_KEY, USAGE_NAMESPACE};
use proxy_wasm_native_host as host;
use proxy_wasm_native_host::Protocol;

pub(crate) fn answer(answer: Answer) -> host::Answer {
    let sent = match answer.response {
        None => host::Answer::reset(),
        Some(response) if response.broken_off => {
            host::Answer::reset_after(to_host_response(&response))
        }
        Some(response) => to_host_response(&response).into(),
    };
    sent.after(answer.delay)
}

fn to_host_response(response: &Response) -> host::Response {
    let mut sent = host::Response::new(response.status);
    for (name, value) in &response.headers {
        sent = sent.header(name, value);
    }
    sent = match (response.body.is_empty(), response.trailers.is_empty()) {
        (true, _) => sent,
        (false, true) => sent.body(&response.body),
        (false, false) => sent.chunk(&response.body),
    };
    for (name, value) in &response.trailers {
        sent = sent.trailer(name, value);
    }
    // The effect of `Filter::Usage`, which is a native filter on a real Envoy.
    if let [usage] = response.all(USAGE_HEADER).as_slice()
        && let Ok(number) = usage.parse::<f64>()
    {
        let path = format!("metadata.filter_metadata.{USAGE_NAMESPACE}.{USAGE_KEY}");
        sent = sent.property(&path, number);
    }
    sent
}

pub(crate) fn to_host(request: &Request) -> host::Request {
    let mut sent = host::Request::new(&request.method, &request.path).header("host", &request.host);
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    if !request.body.is_empty() {
        sent = sent.body(&request.body);
    }
    if let Some(client) = request.client {
        sent = sent.property("source.address", socket_address(client).as_str());
    }
    if request.http2 {
        sent = sent.protocol(Protocol::Http2);
    }
    match request.tls {
        true => sent.tls(),
        false => sent,
    }
}

/// The form in which Envoy writes an address from `x-forwarded-for`, which has no port.
fn socket_address(ip: IpAddr) -> String {
    SocketAddr::new(ip, 0).to_string()
}

pub(crate) fn as_received(received: &host::Request) -> Request {
    Request {
        method: received.method().to_owned(),
        path: received.path().to_owned(),
        host: received
            .header_value(":authority")
            .unwrap_or_default()
            .to_owned(),
        tls: false,
        http2: false,
        client: None,
        headers: fields(received.headers()),
        body: received.body_bytes(),
    }
}

pub(crate) fn as_response(outcome: &host::Outcome) -> Response {
    let response = outcome.response();
    Response {
        status: response.status(),
        headers: fields(response.headers()),
        body: response.body_bytes(),
        trailers: fields(response.trailers()),
        broken_off: outcome.was_broken_off(),
    }
}

/// The headers without pseudo-headers.
fn fields(headers: &host::Headers) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .filter(|(name, _)| !name.starts_with(':'))
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}
