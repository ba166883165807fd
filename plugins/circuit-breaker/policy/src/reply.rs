//! The answer in place of the upstream's.

use bytes::Bytes;
use serde::Deserialize;

use super::CircuitBreaker;
use super::admission::{Admission, Reason};
use portcullis_core::config::{Mode, Name, OnError, at_member};
use portcullis_core::grpc::Grpc;
use portcullis_core::headers::HeaderMap;
use portcullis_core::label::{ByLabel, Label as _};
use portcullis_core::reply::{Reply, ReplyHeaders};

/// The gRPC status of a request that is rejected.
const UNAVAILABLE: u32 = 14;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

impl CircuitBreaker {
    /// The answer to a request that no breaker could judge, because the proxy refused to say or to do
    /// something; `None` if it passes: `on_error` is `allow`, or no breaker is enforced.
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

    /// The answer to a request that is rejected; of the request, only what is said of its content type
    /// matters.
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
            header("retry-after", seconds(rejection.wait).to_string()),
            header("x-portcullis-reason", rejection.reason.label().into()),
        ];
        if Grpc::of(request) == Some(Grpc::Http2) {
            let pushback = rejection.wait.div_ceil(MILLISECOND).max(1);
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

    fn of_reason(&self, reason: Reason) -> Bytes {
        self.reasons.get(reason).cloned().unwrap_or_default()
    }
}

/// The answer in place of the upstream's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) struct Fallback {
    status: u16,
    headers: ReplyHeaders,
    body: Bytes,
    pub(super) on_failure: bool,
}

/// The answer in place of the upstream's.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct Fields {
    /// The HTTP status, from 200 to 599. Default: 503.
    #[cfg_attr(feature = "schema", schemars(range(min = 200, max = 599)))]
    status: Option<u16>,
    /// The body. Default: `Service unavailable` and a line feed.
    body: Option<String>,
    /// Headers to add.
    headers: ReplyHeaders,
    /// Whether to answer so, too, when the upstream has failed.
    on_failure: bool,
}

impl Default for Fallback {
    fn default() -> Self {
        Self {
            status: 503,
            headers: ReplyHeaders::default(),
            body: Bytes::from_static(b"Service unavailable\n"),
            on_failure: false,
        }
    }
}

impl TryFrom<Fields> for Fallback {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let default = Self::default();
        let status = fields.status.unwrap_or(default.status);
        let has_body = !matches!(status, 204 | 205 | 304);
        if !(200..=599).contains(&status) {
            let message = format!("found {status}; expected a status from 200 to 599");
            return Err(at_member("status", message));
        }
        let body = match fields.body {
            Some(body) if !body.is_empty() && !has_body => {
                let message =
                    format!("found a body with the status {status}, whose responses have none");
                return Err(at_member("body", message));
            }
            Some(body) => body.into(),
            None if has_body => default.body,
            None => Bytes::new(),
        };
        Ok(Self {
            status,
            headers: fields.headers,
            body,
            on_failure: fields.on_failure,
        })
    }
}

impl Fallback {
    fn reply(&self) -> Reply {
        Reply {
            status: self.status,
            grpc_status: Some(UNAVAILABLE),
            details: Bytes::new(),
            headers: self.headers.iter().cloned().collect(),
            body: self.body.clone(),
        }
    }

    /// The answer in place of a failure, which asked to be left alone for so many nanoseconds.
    pub(super) fn on_failure(&self, details: &Details, retry_after: u64) -> Reply {
        let mut reply = self.reply();
        reply.details = details.fallback.clone();
        let reason = header("x-portcullis-reason", "upstream_failure".into());
        reply.headers.insert(0, reason);
        if retry_after > 0 {
            let retry_after = header("retry-after", seconds(retry_after).to_string());
            reply.headers.insert(0, retry_after);
        }
        reply
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

fn header(name: &'static str, value: String) -> (Bytes, Bytes) {
    (name.into(), value.into())
}

/// Nanoseconds in whole seconds, at least 1.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(SECOND).max(1)
}
