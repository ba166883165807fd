//! The response in place of the upstream's, for open circuits and, if configured, for failures.

use bytes::Bytes;
use serde::Deserialize;

use super::admission::{Admission, Held};
use super::breaker::Breaker;
use super::reply::{Details, UNAVAILABLE, header, retry_after};
use super::verdict::{Moment, Stream, Verdict, judge};
use super::{BreakerId, CircuitBreaker};
use portcullis_core::config::{Mode, at_member};
use portcullis_core::reply::{Reply, ReplyHeaders};
use portcullis_core::time::Nanos;

/// The response in place of the upstream's.
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

/// The response in place of the upstream's.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields, default)]
struct Fields {
    /// HTTP status: 200 to 599. Default: 503.
    #[cfg_attr(feature = "schema", schemars(range(min = 200, max = 599)))]
    status: Option<u16>,
    /// Body. Default: `Service unavailable` and a line feed.
    body: Option<String>,
    /// Additional headers.
    headers: ReplyHeaders,
    /// Whether this response also replaces a response that is a failure. Default: false.
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
    pub(super) fn reply(&self) -> Reply {
        Reply {
            status: self.status,
            grpc_status: Some(UNAVAILABLE),
            details: Bytes::new(),
            headers: self.headers.iter().cloned().collect(),
            body: self.body.clone(),
        }
    }

    /// The response in place of a failure. `wait` is how long the failure asked to wait, if it did.
    fn in_place_of_failure(&self, details: &Details, wait: Option<Nanos>) -> Reply {
        let mut reply = self.reply();
        reply.details = details.fallback();
        let reason = header("x-portcullis-reason", "upstream_failure".into());
        reply.headers.insert(0, reason);
        if let Some(wait) = wait {
            reply.headers.insert(0, retry_after(wait));
        }
        reply
    }
}

impl CircuitBreaker {
    /// Whether [`fallback`](Self::fallback) can return a response, so that it is worth a call.
    pub fn may_fall_back(&self, admission: &Admission) -> bool {
        let Some(start) = admission.response else {
            return false;
        };
        let is_undecided = |held: &Held| held.decided.is_none();
        let mut held = admission
            .checks
            .iter()
            .filter(|check| check.held.as_ref().is_some_and(is_undecided));
        held.any(|check| {
            let breaker = self.replaces_failures(check.breaker);
            breaker.is_some_and(|breaker| start.response.may_be_failure(&breaker.failures))
        })
    }

    /// The breaker, if it replaces failures.
    fn replaces_failures(&self, id: BreakerId) -> Option<&Breaker> {
        let breaker = &self.get(id)?.breaker;
        let is_enforced = self.mode == Mode::Enforce && breaker.mode == Mode::Enforce;
        (is_enforced && breaker.fallback.on_failure).then_some(breaker)
    }

    /// The response in place of one whose headers make it a failure: that of the first breaker for which it is a
    /// failure and that replaces failures. The failure counts all the same.
    pub fn fallback(
        &self,
        admission: &mut Admission,
        stream: &mut impl Stream,
    ) -> Option<(BreakerId, Reply)> {
        let start = admission.response?;
        let mut reply = None;
        let mut findings = Vec::with_capacity(admission.checks.len());
        let observed = admission.observed(Moment::Headers, Some(&start.response), start.at);
        for check in &admission.checks {
            let breaker = &self.get(check.breaker)?.breaker;
            let decided = check.held.as_ref().and_then(|held| held.decided);
            let finding = decided.unwrap_or_else(|| judge(&breaker.failures, &observed, stream));
            let is_failure = check.held.is_some() && finding.verdict == Verdict::Failure;
            if is_failure && reply.is_none() {
                let breaker = self.replaces_failures(check.breaker);
                reply = breaker.map(|breaker| {
                    let fallback = &breaker.fallback;
                    let reply = fallback.in_place_of_failure(&breaker.details, start.retry_after);
                    (check.breaker, reply)
                });
            }
            findings.push(finding);
        }
        if reply.is_some() {
            // When the stream ends, Envoy describes this reply and no longer the upstream's response.
            for (check, finding) in admission.checks.iter_mut().zip(findings) {
                if let Some(held) = &mut check.held {
                    held.decided = Some(finding);
                }
            }
        }
        reply
    }
}
