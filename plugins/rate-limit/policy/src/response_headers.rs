//! Response headers that show the limits: `RateLimit-Policy`, `RateLimit` and `X-RateLimit-*`.
//!
//! They show the enforcing limits that apply to the request. `RateLimit` lists the **tightest** limit first: a
//! limit that denied the request (of several, the one with the longest wait), then the limit with the smallest
//! share remaining.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use smallvec::SmallVec;

use super::check::Check;
use super::config::ResponseHeaders;
use super::evaluate::Evaluation;
use super::limit::Limit;
use super::limiter::Quota;
use super::{Compiled, RateLimit};
use portcullis_core::config::Mode;
use portcullis_core::headers::{HeaderMap, Text, whole_number};
use portcullis_core::time::Nanos;

const RATELIMIT_POLICY: Bytes = Bytes::from_static(b"ratelimit-policy");
const RATELIMIT: Bytes = Bytes::from_static(b"ratelimit");
const X_RATELIMIT_LIMIT: &str = "x-ratelimit-limit";
const X_RATELIMIT_REMAINING: &str = "x-ratelimit-remaining";
const X_RATELIMIT_RESET: &str = "x-ratelimit-reset";

/// The part of a limit's headers that does not depend on its state.
#[derive(Clone, Debug)]
pub(super) struct QuotaPolicy {
    /// The beginning of an item of `RateLimit`, up to the number that remains.
    remaining: String,
    /// `None` if requests bring the number of requests.
    fixed: Option<PolicyItems>,
}

/// The items for a limit with a number of requests.
#[derive(Clone, Debug)]
struct PolicyItems {
    /// An item of `RateLimit-Policy`.
    item: Bytes,
    /// An item of `X-RateLimit-Limit`.
    x_item: String,
    /// The number of requests in both.
    requests: u64,
}

impl QuotaPolicy {
    pub(super) fn of(limit: &Limit) -> Self {
        let requests = &limit.rate.requests;
        Self {
            // The alphabet of names needs no escapes in a String of structured fields.
            remaining: format!("\"{}\";r=", limit.name),
            fixed: requests
                .is_fixed()
                .then(|| PolicyItems::of(limit, requests.most().get())),
        }
    }
}

impl PolicyItems {
    fn of(limit: &Limit, requests: u32) -> Self {
        let name = &limit.name;
        let (requests, seconds) = limit.rate.in_seconds(requests);
        let mut item = format!("\"{name}\";q={requests};w={seconds}");
        if let Some(burst) = limit.burst {
            // Writing to a String does not fail.
            let _ = write!(item, ";portcullis-burst={burst}");
        }
        Self {
            item: item.into(),
            x_item: format!("{requests};w={seconds};name=\"{name}\""),
            requests,
        }
    }
}

impl RateLimit {
    /// Adds the headers to a response of the upstream, without making the upstream's own headers more permissive.
    pub(super) fn add_headers(&self, evaluation: &Evaluation, response: &mut HeaderMap) {
        for kind in &self.response_headers {
            let shown = self.shown(evaluation);
            match kind {
                // These are lists: the upstream's items stay.
                ResponseHeaders::RateLimit => {
                    if let Some(policies) = policies(shown.clone()) {
                        response.append(RATELIMIT_POLICY, policies);
                    }
                    let left = tightest_first(shown);
                    if !left.is_empty() {
                        response.append_with(RATELIMIT, |list| write_ratelimit(&left, list));
                    }
                }
                ResponseHeaders::XRateLimit => XRateLimit::of(shown)
                    .filter(|ours| ours.is_tighter_than(response))
                    .into_iter()
                    .flat_map(XRateLimit::headers)
                    .for_each(|(name, value)| response.set(name, value)),
            }
        }
    }

    /// The headers of one of the plugin's own replies.
    pub(super) fn reply_headers(&self, evaluation: &Evaluation) -> Vec<(Bytes, Bytes)> {
        let mut headers = Vec::new();
        for kind in &self.response_headers {
            let shown = self.shown(evaluation);
            match kind {
                ResponseHeaders::RateLimit => {
                    let policies = policies(shown.clone());
                    headers.extend(policies.map(|policies| (RATELIMIT_POLICY, policies)));
                    let left = tightest_first(shown);
                    if !left.is_empty() {
                        let list = Text::written_by(|list| write_ratelimit(&left, list));
                        headers.push((RATELIMIT, list));
                    }
                }
                ResponseHeaders::XRateLimit => {
                    let ours = XRateLimit::of(shown).into_iter();
                    headers.extend(ours.flat_map(XRateLimit::headers));
                }
            }
        }
        headers
    }

    /// The limits that the headers show, in the order of the configuration.
    fn shown<'a>(
        &'a self,
        evaluation: &'a Evaluation,
    ) -> impl Iterator<Item = ShownLimit<'a>> + Clone {
        let checks = match self.mode {
            Mode::Enforce => &evaluation.checks[..],
            Mode::Shadow | Mode::Off => &[],
        };
        checks.iter().filter_map(|check| {
            let compiled = self.get(check.limit)?;
            let is_enforced = compiled.limit.mode == Mode::Enforce;
            is_enforced.then_some(ShownLimit { compiled, check })
        })
    }
}

/// A limit, and what it found about the request.
#[derive(Clone, Copy)]
struct ShownLimit<'a> {
    compiled: &'a Compiled,
    check: &'a Check,
}

impl<'a> ShownLimit<'a> {
    /// An item of `RateLimit-Policy`.
    fn item(self) -> Bytes {
        self.items().item.clone()
    }

    fn items(self) -> Cow<'a, PolicyItems> {
        match &self.compiled.quota_policy.fixed {
            Some(items) => Cow::Borrowed(items),
            None => Cow::Owned(PolicyItems::of(&self.compiled.limit, self.check.requests)),
        }
    }
}

/// Limits with their quotas. Requests rarely have more than this; then the list takes no memory of its own.
type Quotas<'a> = SmallVec<[(ShownLimit<'a>, Quota); 2]>;

/// The limits whose quota is known, the tightest first.
fn tightest_first<'a>(shown: impl Iterator<Item = ShownLimit<'a>>) -> Quotas<'a> {
    let mut left = Quotas::new();
    for limit in shown {
        if let Some(quota) = limit.check.quota {
            left.push((limit, quota));
        }
    }
    if left.len() > 1 {
        // The remaining shares are fractions, compared by cross-multiplication.
        let part = |a: Quota, b: Quota| u64::from(a.remaining) * u64::from(b.capacity.max(1));
        left.sort_by(|(limit, a), (other, b)| {
            let longest_first = other.check.wait.cmp(&limit.check.wait);
            longest_first.then(part(*a, *b).cmp(&part(*b, *a)))
        });
    }
    left
}

/// `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers; `None` without limits.
fn policies<'a>(mut shown: impl Iterator<Item = ShownLimit<'a>>) -> Option<Bytes> {
    let first = shown.next()?.item();
    let Some(second) = shown.next() else {
        return Some(first);
    };
    Some(Text::written_by(|list| {
        list.push(&first);
        for limit in [second].into_iter().chain(shown) {
            list.push(b", ");
            list.push(&limit.item());
        }
    }))
}

/// `RateLimit` of the same draft. It is written for each request, so this formats nothing that the configuration
/// determines, and does without the formatter of the standard library, which takes several times as long.
fn write_ratelimit(left: &[(ShownLimit<'_>, Quota)], list: &mut Text<'_>) {
    let mut number = itoa::Buffer::new();
    for (position, (limit, quota)) in left.iter().enumerate() {
        if position > 0 {
            list.push(b", ");
        }
        list.push(limit.compiled.quota_policy.remaining.as_bytes());
        list.push(number.format(quota.remaining).as_bytes());
        if quota.reset_after > Nanos::ZERO {
            list.push(b";t=");
            list.push(number.format(quota.reset_after.ceil_secs()).as_bytes());
        }
    }
}

/// The three headers that Envoy calls `DRAFT_VERSION_03`.
struct XRateLimit {
    limit: String,
    remaining: u32,
    reset: u64,
}

impl XRateLimit {
    /// `None` if no quota is known.
    fn of<'a>(shown: impl Iterator<Item = ShownLimit<'a>> + Clone) -> Option<Self> {
        let (tightest, quota) = *tightest_first(shown.clone()).first()?;
        let mut limit = tightest.items().requests.to_string();
        for policy in shown {
            limit.push_str(", ");
            limit.push_str(&policy.items().x_item);
        }
        Some(Self {
            limit,
            remaining: quota.remaining,
            reset: quota.reset_after.ceil_secs(),
        })
    }

    /// Whether the response has none of these headers, or is known to show a milder limit.
    fn is_tighter_than(&self, response: &HeaderMap) -> bool {
        let names = [X_RATELIMIT_LIMIT, X_RATELIMIT_REMAINING, X_RATELIMIT_RESET];
        let mut lines = response.values(X_RATELIMIT_REMAINING);
        match (lines.next().map(whole_number), lines.next()) {
            (None, _) => !names.iter().any(|name| response.contains(name)),
            (Some(theirs), None) => theirs.is_some_and(|theirs| theirs > self.remaining),
            (Some(_), Some(_)) => false,
        }
    }

    fn headers(self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let headers = [
            header(X_RATELIMIT_LIMIT, self.limit),
            header(X_RATELIMIT_REMAINING, self.remaining.to_string()),
            header(X_RATELIMIT_RESET, self.reset.to_string()),
        ];
        headers.into_iter()
    }
}

fn header(name: &'static str, value: String) -> (Bytes, Bytes) {
    (Bytes::from_static(name.as_bytes()), value.into())
}
