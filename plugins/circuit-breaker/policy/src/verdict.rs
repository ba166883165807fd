//! The verdict on a request, and who caused it.
//!
//! The verdict is reached when the exchange has ended, because a response can still break off, and a gRPC status can
//! come last. [`endings`](super::endings) names what ended the exchange. These rules turn the ending into a verdict:
//!
//! 1. A [flag](super::flags) that is configured and is not about the upstream (FI, RL, UMSDR …): **failure**.
//! 2. The upstream answered: its status decides. A status in `ignored`: **neutral**. A gRPC or HTTP status in `grpc`
//!    or `statuses`: **failure**; a gRPC status that never arrived counts as 2, UNKNOWN. Otherwise: **success**. A
//!    redirect that Envoy follows is a success.
//! 3. The upstream could not be reached: **failure**, if its flag or the status of Envoy's response is configured.
//! 4. The upstream broke off, before the response or within it: the same, if the request was complete. If it was not,
//!    the client may have caused it (with an upload that stalls until the upstream hangs up, or by closing a
//!    WebSocket): neutral before the response; within the response, the headers decide.
//!    With `failures.upgrades`, an upgrade (a WebSocket) is complete with its headers as long as there is no response:
//!    the upstream has all that it needs to answer. An upgrade that announces a body is not. Without this setting,
//!    which is the default, an unanswered upgrade says nothing of the upstream: a client can request an upgrade where
//!    the upstream has none, and many servers then hang up (`socket.destroy()` in Node's `upgrade` event).
//! 5. The upstream missed a deadline that starts when the request is complete: **failure** under the same condition,
//!    unless the client chose a deadline that has passed.
//! 6. A deadline that started with the request, or that the client chose, passed before there was a response; or the
//!    client left before there was one: **abandoned**.
//! 7. Anyone but the upstream ended a response that had begun well: its headers decide, because a client that does not
//!    read can prolong a response.
//! 8. Everything else has another author: **neutral**.
//!
//! gRPC status 4 is the client's deadline (rule 6) if the `grpc-timeout` of the request has passed, because the
//! upstream observes it.
//!
//! # Few calls to the proxy
//!
//! Each property is a call to the proxy, so the common case reads only one: code details of `via_upstream`. The other
//! cases read the flags, and some also the attempts and the deadlines that the client chose.

use super::deadlines::{ClientDeadlines, has_passed, parse_grpc_timeout};
use super::endings::{Author, Ending};
use super::failures::Failures;
use super::flags::{CLIENT_GONE, OF_UPSTREAM, WITH_UPSTREAM_RESPONSE};
use super::response::Response;
use portcullis_core::short_text::ShortText;
use portcullis_core::time::Nanos;

/// Envoy's description of an exchange, at its end or when the headers of the response have arrived.
pub trait Stream {
    /// `response.code_details`; empty if there are none.
    fn code_details(&mut self) -> ShortText;

    /// `response.flags`.
    fn flags(&mut self) -> u64;

    /// `upstream.request_attempt_count`; `None` if Envoy does not provide it.
    fn attempts(&mut self) -> Option<u32>;

    /// The header `grpc-timeout` of the request; empty if there is none.
    fn grpc_timeout(&mut self) -> ShortText;

    /// Whether Envoy considers the client internal (`x-envoy-internal`) and so applies its timeouts.
    fn is_internal(&mut self) -> bool;

    /// Whether the request is for an upgrade and announces no body: it has `upgrade`, and neither `content-length` nor
    /// `transfer-encoding`.
    fn is_upgrade(&mut self) -> bool;
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upstream answered.
    Success,
    /// The upstream failed.
    Failure,
    /// It has another author, or does not count.
    Neutral,
    /// The client left, or its deadline passed, before there was a response.
    Abandoned,
}

/// A verdict and its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Who caused it.
    pub author: Author,
    /// How often the request was sent upstream, if known.
    pub attempts: Option<u32>,
    /// Whether a deadline passed that the client may have chosen, but the headers of the request were not read.
    pub lacks_headers: bool,
}

impl Finding {
    /// The finding on a request that the breaker matches only in some readings: it may belong to another service.
    pub(super) const AMBIGUOUS: Self = Self {
        verdict: Verdict::Neutral,
        author: Author::Ambiguous,
        attempts: None,
        lacks_headers: false,
    };
}

/// The moment of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The response has begun.
    Headers,
    /// The stream has ended.
    End,
}

/// What is known of an exchange, apart from its ending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    pub(super) moment: Moment,
    pub(super) response: Option<&'a Response>,
    /// Whether the whole request has arrived.
    pub(super) is_complete: bool,
    /// The time since the request arrived.
    pub(super) age: Nanos,
    /// The time since it was complete.
    pub(super) waited: Nanos,
    /// `None` if the headers of the request were not read.
    pub(super) deadlines: Option<ClientDeadlines>,
}

/// The verdict of one breaker on an exchange.
pub(super) fn judge(
    failures: &Failures,
    observed: &Observed<'_>,
    stream: &mut impl Stream,
) -> Finding {
    let details = stream.code_details();
    let ending = Ending::of(&details);
    if let (Some(response), Ending::Answered) = (observed.response, ending) {
        return answered(failures, observed, response, stream);
    }
    let flags = stream.flags();
    let attempts = stream.attempts();
    let observed = &match ending {
        Ending::BrokeBefore | Ending::Late
            if failures.has_upgrades() && !observed.is_complete && stream.is_upgrade() =>
        {
            Observed {
                is_complete: true,
                waited: observed.age,
                ..*observed
            }
        }
        _ => *observed,
    };
    let finding = |verdict, author| Finding {
        verdict,
        author,
        attempts,
        lacks_headers: false,
    };
    let configured = failures.flags();
    let author = match ending {
        Ending::By(author) => author,
        Ending::Left | Ending::Overdue => Author::Client,
        _ => Author::Upstream,
    };
    if flags & configured & !OF_UPSTREAM > 0 {
        return finding(Verdict::Failure, author);
    }
    // A response that had begun well and that the upstream did not break off.
    if let Some(response) = observed.response
        && response.has_begun_well()
        && attempts != Some(0)
        && may_be_of_upstream(ending, observed)
    {
        return finding(by_status(failures, response), Author::Upstream);
    }
    let abandoned = finding(Verdict::Abandoned, Author::Client);
    let failed = || {
        let is_configured = flags & configured > 0
            || observed
                .response
                .is_some_and(|response| response.is_failure(failures));
        match is_configured {
            true => finding(Verdict::Failure, Author::Upstream),
            false => finding(Verdict::Neutral, Author::Upstream),
        }
    };
    match ending {
        Ending::Answered => finding(Verdict::Neutral, Author::Unknown("other")),
        Ending::Redirected => finding(Verdict::Success, Author::Upstream),
        Ending::Unreachable => failed(),
        Ending::BrokeBefore | Ending::BrokeWithin | Ending::Late if !observed.is_complete => {
            finding(Verdict::Neutral, Author::Client)
        }
        Ending::BrokeBefore | Ending::BrokeWithin => failed(),
        Ending::Late if attempts == Some(0) => finding(Verdict::Neutral, Author::Envoy),
        Ending::Late => match observed.author_of_deadline(stream) {
            Deadline::Clients => abandoned,
            Deadline::Operators => failed(),
            Deadline::Unclear => Finding {
                lacks_headers: true,
                ..abandoned
            },
        },
        Ending::Overdue => abandoned,
        Ending::Left => match observed.response {
            // Envoy sends no response to a client that has gone: this one comes from the upstream or from a filter.
            Some(response) if attempts != Some(0) => {
                finding(by_status(failures, response), Author::Upstream)
            }
            Some(_) => finding(Verdict::Neutral, Author::Client),
            None => abandoned,
        },
        Ending::By(Author::Unknown(_))
            if observed.response.is_none() && flags & CLIENT_GONE > 0 =>
        {
            abandoned
        }
        Ending::By(author) => finding(Verdict::Neutral, author),
    }
}

/// Whether a response that has begun can be the upstream's although the exchange ended in this way.
fn may_be_of_upstream(ending: Ending, observed: &Observed<'_>) -> bool {
    match ending {
        Ending::Late | Ending::Overdue | Ending::Left => true,
        Ending::By(author) => matches!(author, Author::Client | Author::Envoy),
        Ending::BrokeWithin => !observed.is_complete,
        _ => false,
    }
}

/// The verdict on a complete response of the upstream.
fn answered(
    failures: &Failures,
    observed: &Observed<'_>,
    response: &Response,
    stream: &mut impl Stream,
) -> Finding {
    let flags = failures.flags() & WITH_UPSTREAM_RESPONSE;
    let mut verdict = by_status(failures, response);
    let is_at_end = observed.moment == Moment::End;
    if verdict == Verdict::Success
        && (is_at_end && response.lacks_status(failures) || flags > 0 && stream.flags() & flags > 0)
    {
        verdict = Verdict::Failure;
    }
    let is_failure = verdict == Verdict::Failure;
    let mut author = Author::Upstream;
    if is_failure && response.is_deadline_exceeded() && observed.has_passed_grpc_timeout(stream) {
        (verdict, author) = (Verdict::Abandoned, Author::Client);
    }
    Finding {
        verdict,
        author,
        attempts: match is_failure {
            true => stream.attempts(),
            false => response.attempts(),
        },
        lacks_headers: false,
    }
}

fn by_status(failures: &Failures, response: &Response) -> Verdict {
    if response.is_ignored(failures) {
        return Verdict::Neutral;
    }
    match response.is_failure(failures) {
        true => Verdict::Failure,
        false => Verdict::Success,
    }
}

enum Deadline {
    Clients,
    Operators,
    Unclear,
}

impl Observed<'_> {
    /// Whether the `grpc-timeout` of the client has passed.
    fn has_passed_grpc_timeout(&self, stream: &mut impl Stream) -> bool {
        let deadline = match self.deadlines {
            Some(deadlines) => deadlines.grpc_timeout,
            None => parse_grpc_timeout(&stream.grpc_timeout()).unwrap_or(Nanos::MAX),
        };
        has_passed(deadline, self.age)
    }

    /// Who chose the deadline that has passed.
    fn author_of_deadline(&self, stream: &mut impl Stream) -> Deadline {
        if self.has_passed_grpc_timeout(stream) {
            return Deadline::Clients;
        }
        match self.deadlines {
            Some(deadlines) if has_passed(deadlines.timeout, self.waited) => Deadline::Clients,
            Some(_) => Deadline::Operators,
            None if stream.is_internal() => Deadline::Unclear,
            None => Deadline::Operators,
        }
    }
}
