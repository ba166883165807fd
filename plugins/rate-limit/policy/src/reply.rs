//! Replies to denied requests.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::RateLimit;
use super::check::{Decision, Reason};
use super::evaluate::{Evaluation, WAIT_WHEN_UNAVAILABLE};
use super::jitter::Jitter;
use portcullis_core::config::{Mode, Name, OnError, at_member};
use portcullis_core::label::ByLabel;
use portcullis_core::reply::{ErrorStatus, Reply, ReplyHeaders};
use portcullis_core::time::Nanos;

/// The gRPC status of a request that is over a limit.
const RESOURCE_EXHAUSTED: u32 = 8;
/// The gRPC status of a request that could not be counted.
const UNAVAILABLE: u32 = 14;

/// The response-code details if no limit could be checked.
const UNAVAILABLE_DETAILS: Bytes = Bytes::from_static(b"rate_limited_unavailable");

const CONTENT_TYPE: Bytes = Bytes::from_static(b"content-type");
const RETRY_AFTER: Bytes = Bytes::from_static(b"retry-after");

impl RateLimit {
    /// The reply to a request that no limit could check, because the proxy refused to provide or change something;
    /// `None` if the request passes: `on_error` is `allow`, or no limit is enforced. `random` is as for
    /// [`reply`](Self::reply).
    pub fn on_error(&self, random: u64) -> Option<Reply> {
        let is_enforced =
            self.mode == Mode::Enforce && self.active().any(|limit| limit.mode == Mode::Enforce);
        let is_denied = is_enforced && self.on_error == OnError::Deny;
        is_denied.then(|| self.reply.unavailable(UNAVAILABLE_DETAILS, random))
    }

    /// Whether replies depend on a random number.
    pub fn needs_random(&self) -> bool {
        self.reply.jitter.is_some()
    }

    /// The reply to a denied request; `None` if it is not denied. `random` is any number, evenly distributed; it
    /// spreads out the clients that return.
    pub fn reply(&self, evaluation: &Evaluation, random: u64) -> Option<Reply> {
        let denials = || {
            let checks = evaluation.checks.iter();
            checks.filter_map(|check| match check.decision {
                Decision::Denied(reason) => Some((reason, check)),
                _ => None,
            })
        };
        let over_limit = || denials().filter(|(reason, _)| *reason != Reason::Unavailable);
        let wait = denials().map(|(_, check)| check.wait).max()?;
        let is_over_limit = over_limit().next().is_some();
        let (reason, first) = over_limit().chain(denials()).next()?;
        let details = &self.get(first.limit)?.details;
        let mut reply = match is_over_limit {
            true => {
                let limits = over_limit().filter_map(|(_, check)| self.get(check.limit));
                let names = limits.map(|compiled| compiled.limit.name.as_str());
                let wait = self.reply.retry_after(wait, random);
                self.reply
                    .over_limit(details.of_reason(reason), names, wait)
            }
            false => self.reply.unavailable(details.of_reason(reason), random),
        };
        reply.headers.extend(self.reply_headers(evaluation));
        evaluation.add_to_reply(&mut reply);
        Some(reply)
    }
}

/// The response-code details of a limit's replies, such as `rate_limited{per-client}`.
#[derive(Clone, Debug)]
pub(super) struct Details(ByLabel<Reason, Bytes>);

impl Details {
    pub(super) fn of(limit: &Name) -> Self {
        let details = |reason: Reason| {
            let what = match reason {
                Reason::RateLimited => "",
                Reason::CostTooLarge => "_cost_too_large",
                Reason::MissingKey => "_missing_key",
                Reason::Unavailable => "_unavailable",
            };
            format!("rate_limited{what}{{{limit}}}").into()
        };
        Self(ByLabel::new(details))
    }

    fn of_reason(&self, reason: Reason) -> Bytes {
        self.0.get(reason).cloned().unwrap_or_default()
    }
}

/// Response to a denied request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "ReplyFields")
)]
#[serde(try_from = "ReplyFields")]
pub(super) struct ReplyTemplate {
    status: u16,
    headers: ReplyHeaders,
    body: Body,
    jitter: Option<Jitter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Text(Bytes),
    Problem,
}

/// Response to a denied request.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct ReplyFields {
    /// HTTP status, from 400 to 599. Default: 429.
    status: ErrorStatus<429>,
    /// Body for the format `text`. Default: `Too many requests` and a line feed.
    body: Option<String>,
    /// Additional response headers.
    headers: ReplyHeaders,
    /// Format of the body. Default: `text`.
    format: Format,
    /// Longest time to add to `Retry-After` at random: a duration from `1s` to `1d`, or percent of the time, from 1 to
    /// 100. Default: none.
    retry_after_jitter: Option<Jitter>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum Format {
    /// `body`, sent as plain text unless `headers` have a `content-type`.
    #[default]
    #[serde(rename = "text")]
    Text,
    /// `application/problem+json` (RFC 9457) of the type `quota-exceeded`, with the names of the violated limits
    /// in `violated-policies`.
    #[serde(rename = "problem+json")]
    Problem,
}

impl Default for ReplyTemplate {
    fn default() -> Self {
        Self {
            status: ErrorStatus::<429>::default().get(),
            headers: ReplyHeaders::default(),
            body: Body::Text(Bytes::from_static(b"Too many requests\n")),
            jitter: None,
        }
    }
}

impl TryFrom<ReplyFields> for ReplyTemplate {
    type Error = String;

    fn try_from(fields: ReplyFields) -> Result<Self, String> {
        let default = Self::default();
        let body = match (fields.format, fields.body) {
            (Format::Text, None) => default.body,
            (Format::Text, Some(text)) => Body::Text(text.into()),
            (Format::Problem, Some(_)) => {
                let message = "found a body with \"format\": \"problem+json\", which has its own";
                return Err(at_member("body", message));
            }
            (Format::Problem, None) if fields.headers.contains("content-type") => {
                let message =
                    "found \"content-type\" with \"format\": \"problem+json\", which has its own";
                return Err(at_member("headers", message));
            }
            (Format::Problem, None) => Body::Problem,
        };
        Ok(Self {
            status: fields.status.get(),
            headers: fields.headers,
            body,
            jitter: fields.retry_after_jitter,
        })
    }
}

impl ReplyTemplate {
    /// The seconds after which a client may return, if its request could be admitted after `wait`.
    fn retry_after(&self, wait: Nanos, random: u64) -> u64 {
        let seconds = wait.ceil_secs().max(1);
        let jitter = |jitter: Jitter| jitter.applied_to(seconds, random);
        self.jitter.map_or(seconds, jitter)
    }

    /// The reply to a request that violates these limits. `retry_after` is in seconds.
    pub(super) fn over_limit<'a>(
        &self,
        details: Bytes,
        limits: impl Iterator<Item = &'a str>,
        retry_after: u64,
    ) -> Reply {
        let (content_type, body) = match &self.body {
            Body::Text(text) => (None, text.clone()),
            Body::Problem => problem(json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Quota exceeded",
                "status": self.status,
                "violated-policies": limits.collect::<Vec<_>>(),
            })),
        };
        Reply {
            status: self.status,
            grpc_status: Some(RESOURCE_EXHAUSTED),
            details,
            headers: self.headers(content_type, retry_after),
            body,
        }
    }

    /// The reply to a request that could not be counted.
    fn unavailable(&self, details: Bytes, random: u64) -> Reply {
        let status = 503;
        let (content_type, body) = match &self.body {
            Body::Text(_) => (None, Bytes::from_static(b"Rate limiting unavailable\n")),
            Body::Problem => problem(json!({
                "title": "Rate limiting unavailable",
                "status": status,
            })),
        };
        Reply {
            status,
            grpc_status: Some(UNAVAILABLE),
            details,
            headers: self.headers(
                content_type,
                self.retry_after(WAIT_WHEN_UNAVAILABLE, random),
            ),
            body,
        }
    }

    fn headers(&self, content_type: Option<Bytes>, retry_after: u64) -> Vec<(Bytes, Bytes)> {
        let retry_after = retry_after.to_string().into();
        let mut headers = vec![(RETRY_AFTER, retry_after)];
        headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
        headers.extend(self.headers.iter().cloned());
        headers
    }
}

fn problem(problem: serde_json::Value) -> (Option<Bytes>, Bytes) {
    let content_type = Bytes::from_static(b"application/problem+json");
    (Some(content_type), problem.to_string().into())
}
