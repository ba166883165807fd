//! What a service adds to the messages of a request that waited for it.

use bytes::Bytes;
use portcullis_core::headers::HeaderMap;
use portcullis_core::reply::Reply;

use crate::evaluate::Evaluation;
use crate::fleet::messages::{AddedHeader, Response};

/// What a service adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Additions {
    request_headers: Vec<AddedHeader>,
    response_headers: Vec<AddedHeader>,
    /// The body of a denial; empty for the configured one.
    body: Vec<u8>,
}

impl Additions {
    /// `None` if the service adds nothing.
    pub(super) fn of(response: Response) -> Option<Box<Self>> {
        let mut additions = Self {
            request_headers: response.request_headers_to_add,
            response_headers: response.response_headers_to_add,
            body: response.raw_body,
        };
        let is_quota = |header: &AddedHeader| header.name.starts_with("x-ratelimit-");
        additions
            .response_headers
            .retain(|header| !is_quota(header));
        (additions != Self::default()).then(|| Box::new(additions))
    }
}

impl Evaluation {
    fn additions(&self) -> &[Additions] {
        let fleet = self.fleet.as_ref();
        fleet.map(|fleet| &fleet.additions[..]).unwrap_or_default()
    }

    /// Headers to append to the request if it passes.
    pub fn request_headers(&self) -> Vec<(Bytes, Bytes)> {
        headers(self.additions(), |it| &it.request_headers)
    }

    fn response_headers(&self) -> Vec<(Bytes, Bytes)> {
        headers(self.additions(), |it| &it.response_headers)
    }

    /// Adds headers to the response of a request that has passed.
    pub(crate) fn add_to_response(&self, response: &mut HeaderMap) {
        for (name, value) in self.response_headers() {
            response.append(name, value);
        }
    }

    /// Adds headers and a body to the reply for a request that is denied.
    pub(crate) fn add_to_reply(&self, reply: &mut Reply) {
        let mut bodies = self.additions().iter().map(|it| &it.body);
        if let Some(body) = bodies.find(|it| !it.is_empty()) {
            reply.body = body.clone().into();
        }
        for (name, value) in self.response_headers() {
            if name == "content-type" {
                reply.headers.retain(|(other, _)| *other != name);
            }
            reply.headers.push((name, value));
        }
    }
}

fn headers(
    additions: &[Additions],
    of: impl Fn(&Additions) -> &Vec<AddedHeader>,
) -> Vec<(Bytes, Bytes)> {
    // Most requests add none, and should not pay for an iterator through two lists.
    if additions.is_empty() {
        return Vec::new();
    }
    let headers = additions.iter().flat_map(of);
    let bytes = |header: &AddedHeader| {
        let name = Bytes::copy_from_slice(header.name.as_bytes());
        (name, Bytes::copy_from_slice(&header.value))
    };
    headers.map(bytes).collect()
}
