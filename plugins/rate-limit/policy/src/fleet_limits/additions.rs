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
    fn additions(&self) -> impl Iterator<Item = &Additions> {
        let fleet = self.fleet.iter();
        fleet.flat_map(|fleet| &fleet.additions)
    }

    /// Headers to append to the request if it passes.
    pub fn request_headers(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let additions = self.additions();
        additions.flat_map(|it| it.request_headers.iter().map(bytes))
    }

    fn response_headers(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let additions = self.additions();
        additions.flat_map(|it| it.response_headers.iter().map(bytes))
    }

    /// Adds headers to the response of a request that has passed.
    pub(crate) fn add_to_response(&self, response: &mut HeaderMap) {
        for (name, value) in self.response_headers() {
            response.append(name, value);
        }
    }

    /// Adds headers and a body to the reply for a request that is denied.
    pub(crate) fn add_to_reply(&self, reply: &mut Reply) {
        if let Some(body) = self
            .additions()
            .map(|it| &it.body)
            .find(|it| !it.is_empty())
        {
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

fn bytes(header: &AddedHeader) -> (Bytes, Bytes) {
    let name = Bytes::copy_from_slice(header.name.as_bytes());
    (name, Bytes::copy_from_slice(&header.value))
}
