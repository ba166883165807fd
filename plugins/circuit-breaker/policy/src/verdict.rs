//! What came of a request, and whose doing it was.
//!
//! The verdict falls when the exchange has ended, because a response can still break off, and a gRPC status
//! may come last. [`endings`](super::endings) names what ended it; these rules make a verdict of it:
//!
//! 1. A [flag](super::flags) that the configuration names and that is not about the upstream (FI, RL, UMSDR …):
//!    **failure**.
//! 2. The upstream answered: its status decides. A status in `ignored`: **neutral**. A gRPC or HTTP status
//!    in `grpc` or `statuses`: **failure**; a gRPC status that never came counts as 2, UNKNOWN. Else
//!    **success**. A redirect that Envoy follows is a success.
//! 3. The upstream could not be reached: **failure**, if its flag or the status of Envoy's answer is
//!    configured.
//! 4. The upstream broke off, before the response or within it: the same, if the request was complete.
//!    If it was not, the client may have brought it about (an upload that stalls until the upstream hangs up, a
//!    WebSocket that the client closes): neutral before the response, by its headers within it.
//!    With `failures.upgrades`, a request for an upgrade (a WebSocket) is complete with its headers as long as
//!    there is no response: the upstream has all that it needs to answer. One that announces a body is not.
//!    Without it, which is the default, nothing is said of the upstream: a client can ask for an upgrade where
//!    the upstream has none, and many servers then hang up (`socket.destroy()` in Node's `upgrade` event).
//! 5. The upstream was late for a deadline that begins when the request is complete: **failure** likewise,
//!    unless the client chose a deadline that has passed.
//! 6. A deadline that passed and began with the request, or was the client's, before there was a response; or a
//!    client that left before it: **abandoned**.
//! 7. Whatever ends a response that had begun well, except the upstream: it goes by its headers, because a client
//!    that does not read can make it last.
//! 8. All else is somebody else's: **neutral**.
//!
//! gRPC status 4 is the client's deadline (rule 6) if the request's `grpc-timeout` has passed: the upstream
//! heeds it.
//!
//! # Few questions
//!
//! Each property is a call to the proxy, so the common case asks for one: code details of `via_upstream`.
//! In other cases the flags, and then perhaps the attempts and what the client asked for, are read.

use super::deadlines::{ClientDeadlines, has_passed, parse_grpc_timeout};
use super::endings::{Author, Ending};
use super::failures::Failures;
use super::flags::{CLIENT_GONE, OF_UPSTREAM, WITH_UPSTREAM_RESPONSE};
use super::response::Response;

/// How Envoy describes an exchange, at its end or when the response's headers have come.
pub trait Stream {
    /// `response.code_details`; empty if there are none.
    fn code_details(&mut self) -> Vec<u8>;

    /// `response.flags`.
    fn flags(&mut self) -> u64;

    /// `upstream.request_attempt_count`; `None` if Envoy does not say.
    fn attempts(&mut self) -> Option<u32>;

    /// The request's header `grpc-timeout`; empty if there is none.
    fn grpc_timeout(&mut self) -> Vec<u8>;

    /// Whether Envoy takes the client for an internal one (`x-envoy-internal`), whose timeouts it heeds.
    fn is_internal(&mut self) -> bool;

    /// Whether the request asks for an upgrade, and announces no body: it has `upgrade`, and neither
    /// `content-length` nor `transfer-encoding`.
    fn is_upgrade(&mut self) -> bool;
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upstream has answered.
    Success,
    /// It has failed.
    Failure,
    /// Somebody else's, or not to be counted.
    Neutral,
    /// The client has gone, or its deadline has passed, before there was a response.
    Abandoned,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What came of the request.
    pub verdict: Verdict,
    /// Whose doing it was.
    pub author: Author,
    /// How often it was sent upstream, where that is known.
    pub attempts: Option<u32>,
    /// Whether the client may have chosen the deadline that passed, but the request's headers were not
    /// read.
    pub lacks_headers: bool,
}

impl Finding {
    /// Of a request that a breaker is for in some readings only: it may be another's.
    pub(super) const AMBIGUOUS: Self = Self {
        verdict: Verdict::Neutral,
        author: Author::Ambiguous,
        attempts: None,
        lacks_headers: false,
    };
}

/// When a verdict is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The response has only begun.
    Headers,
    /// The stream has ended.
    End,
}

/// What is known of an exchange beside its ending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    pub(super) moment: Moment,
    pub(super) response: Option<&'a Response>,
    /// Whether the whole request has come.
    pub(super) is_complete: bool,
    /// Since the request came, in nanoseconds.
    pub(super) age: u64,
    /// Since it was complete, in nanoseconds.
    pub(super) waited: u64,
    /// `None` if the request's headers were not read.
    pub(super) deadlines: Option<ClientDeadlines>,
}

/// What came of an exchange for one breaker.
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
    // A response that had begun well, and that the upstream did not break off.
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
        Ending::Late => match observed.is_clients_deadline(stream) {
            Deadline::Clients => abandoned,
            Deadline::Operators => failed(),
            Deadline::Unclear => Finding {
                lacks_headers: true,
                ..abandoned
            },
        },
        Ending::Overdue => abandoned,
        Ending::Left => match observed.response {
            // Envoy answers nothing to a client that is gone: the response is the upstream's, or a filter's.
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

/// Whether a response that has begun is the upstream's although the exchange ended so.
fn may_be_of_upstream(ending: Ending, observed: &Observed<'_>) -> bool {
    match ending {
        Ending::Late | Ending::Overdue | Ending::Left => true,
        Ending::By(author) => matches!(author, Author::Client | Author::Envoy),
        Ending::BrokeWithin => !observed.is_complete,
        _ => false,
    }
}

/// A whole response of the upstream.
fn answered(
    failures: &Failures,
    observed: &Observed<'_>,
    response: &Response,
    stream: &mut impl Stream,
) -> Finding {
    let telling = failures.flags() & WITH_UPSTREAM_RESPONSE;
    let mut verdict = by_status(failures, response);
    let is_at_end = observed.moment == Moment::End;
    if verdict == Verdict::Success
        && (is_at_end && response.lacks_status(failures)
            || telling > 0 && stream.flags() & telling > 0)
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
    /// Whether the deadline of a gRPC client has passed.
    fn has_passed_grpc_timeout(&self, stream: &mut impl Stream) -> bool {
        let deadline = match self.deadlines {
            Some(deadlines) => deadlines.grpc_timeout,
            None => parse_grpc_timeout(&stream.grpc_timeout()).unwrap_or(u64::MAX),
        };
        has_passed(deadline, self.age)
    }

    /// Whose deadline it was that has passed.
    fn is_clients_deadline(&self, stream: &mut impl Stream) -> Deadline {
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
