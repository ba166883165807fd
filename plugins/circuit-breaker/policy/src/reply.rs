//! Responses to rejected requests.

use bytes::Bytes;

use super::CircuitBreaker;
use super::admission::{Admission, Reason};
use portcullis_core::config::{Mode, Name, OnError};
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;
use portcullis_core::label::{ByLabel, Label as _};
use portcullis_core::reply::Reply;
use portcullis_core::time::Nanos;

/// The gRPC status of a rejected request.
pub(super) const UNAVAILABLE: u32 = 14;

impl CircuitBreaker {
    /// The response to a request that no breaker could decide on, because the proxy failed. `None` if the request
    /// passes, because `on_error` is `allow` or no breaker is enforced.
    pub fn on_error(&self) -> Option<Reply> {
        let is_enforced = self.mode == Mode::Enforce
            && self.active().any(|breaker| breaker.mode == Mode::Enforce);
        let is_denied = is_enforced && self.on_error == OnError::Deny;
        is_denied.then(|| Reply {
            details: "circuit_unavailable".into(),
            headers: vec![header(
                "x-portcullis-reason",
                Reason::Unavailable.label().into(),
            )],
            ..plain("Service unavailable\n")
        })
    }

    /// The response to a rejected request. Only the content type of the request matters.
    pub fn reply(&self, admission: &Admission, request: &HeaderMap) -> Option<Reply> {
        let rejection = admission.rejection()?;
        let breaker = &self.get(rejection.breaker)?.breaker;
        let fallback = &breaker.fallback;
        let mut reply = match rejection.reason {
            Reason::CircuitOpen | Reason::HalfOpen | Reason::ForcedOpen => fallback.reply(),
            Reason::Bulkhead => plain("Too many requests under way\n"),
            Reason::MissingKey | Reason::Unavailable => plain("Service unavailable\n"),
        };
        reply.details = breaker.details.of_reason(rejection.reason);
        let mut headers = vec![
            retry_after(rejection.wait),
            header("x-portcullis-reason", rejection.reason.label().into()),
        ];
        if Grpc::of(request) == Some(Grpc::Http2) {
            let pushback = rejection.wait.ceil_millis().max(1);
            headers.push(header("grpc-retry-pushback-ms", pushback.to_string()));
        }
        headers.append(&mut reply.headers);
        reply.headers = headers;
        Some(reply)
    }
}

/// The response-code details of a breaker's replies, such as `circuit_open{payments}`.
#[derive(Clone, Debug)]
pub(super) struct Details {
    reasons: ByLabel<Reason, Bytes>,
    fallback: Bytes,
}

impl Details {
    pub(super) fn of(breaker: &Name) -> Self {
        let details = |what: &str| Bytes::from(format!("circuit_{what}{{{breaker}}}"));
        let of_reason = |reason: Reason| {
            let label = reason.label();
            details(label.strip_prefix("circuit_").unwrap_or(label))
        };
        Self {
            reasons: ByLabel::new(of_reason),
            fallback: details("fallback"),
        }
    }

    /// The details of a reply in place of a failure.
    pub(super) fn fallback(&self) -> Bytes {
        self.fallback.clone()
    }

    fn of_reason(&self, reason: Reason) -> Bytes {
        self.reasons.get(reason).cloned().unwrap_or_default()
    }
}

fn plain(body: &'static str) -> Reply {
    Reply {
        status: 503,
        grpc_status: Some(UNAVAILABLE),
        details: Bytes::new(),
        headers: Vec::new(),
        body: body.into(),
    }
}

pub(super) fn header(name: &'static str, value: String) -> (Bytes, Bytes) {
    (name.into(), value.into())
}

/// `Retry-After` in whole seconds, at least 1.
pub(super) fn retry_after(wait: Nanos) -> (Bytes, Bytes) {
    header("retry-after", wait.ceil_secs().max(1).to_string())
}
