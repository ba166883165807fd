//! Response headers that show the limits: `RateLimit-Policy`, `RateLimit` and `X-RateLimit-*`.
//!
//! They show the enforcing limits that apply to the request. `RateLimit` lists the **tightest** limit first: a
//! limit that denied the request (of several, the one with the longest wait), then the limit with the smallest
//! share remaining.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use bytes::Bytes;
use smallvec::SmallVec;

use super::config::ResponseHeaders;
use super::evaluate::Evaluation;
use super::limit::Limit;
use super::limiter::Quota;
use super::{Compiled, RateLimit};
use portcullis_core::config::Mode;
use portcullis_core::headers::{HeaderMap, whole_number};
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
        let shown = self.shown(evaluation);
        for kind in &self.response_headers {
            match kind {
                // These are lists: the upstream's items stay.
                ResponseHeaders::RateLimit if shown.limits.is_empty() => {}
                ResponseHeaders::RateLimit => {
                    response.append(RATELIMIT_POLICY, shown.policies());
                    if !shown.left.is_empty() {
                        shown.with_ratelimit(|list| response.append_text(RATELIMIT, list));
                    }
                }
                ResponseHeaders::XRateLimit => shown
                    .x_ratelimit()
                    .filter(|ours| ours.is_tighter_than(response))
                    .into_iter()
                    .flat_map(XRateLimit::headers)
                    .for_each(|(name, value)| response.set(name, value)),
            }
        }
    }

    /// The headers of one of the plugin's own replies.
    pub(super) fn reply_headers(&self, evaluation: &Evaluation) -> Vec<(Bytes, Bytes)> {
        let shown = self.shown(evaluation);
        let mut headers = Vec::new();
        for kind in &self.response_headers {
            match kind {
                ResponseHeaders::RateLimit if shown.limits.is_empty() => {}
                ResponseHeaders::RateLimit => {
                    headers.push((RATELIMIT_POLICY, shown.policies()));
                    if !shown.left.is_empty() {
                        let list = shown.with_ratelimit(Bytes::copy_from_slice);
                        headers.push((RATELIMIT, list));
                    }
                }
                ResponseHeaders::XRateLimit => {
                    headers.extend(
                        shown
                            .x_ratelimit()
                            .into_iter()
                            .flat_map(XRateLimit::headers),
                    );
                }
            }
        }
        headers
    }

    fn shown<'a>(&'a self, evaluation: &'a Evaluation) -> ShownLimits<'a> {
        if self.mode != Mode::Enforce || self.response_headers.is_empty() {
            return ShownLimits::default();
        }
        let mut shown = ShownLimits {
            limits: SmallVec::new(),
            left: SmallVec::new(),
        };
        for check in &evaluation.checks {
            let compiled = self.get(check.limit);
            let enforcing = compiled.filter(|compiled| compiled.limit.mode == Mode::Enforce);
            let Some(compiled) = enforcing else {
                continue;
            };
            let limit = ShownLimit {
                compiled,
                requests: check.requests,
            };
            shown.limits.push(limit);
            if let Some(quota) = check.quota {
                shown.left.push((limit, quota, check.wait));
            }
        }
        shown.sort();
        shown
    }
}

/// Requests rarely have more limits than this; then showing them allocates no memory but for the values.
const FEW: usize = 2;

/// The limits that the headers show.
#[derive(Default)]
struct ShownLimits<'a> {
    /// In the order of the configuration.
    limits: SmallVec<[ShownLimit<'a>; FEW]>,
    /// The limits whose quota is known, each with the wait of a request that it denied, the tightest first.
    left: SmallVec<[(ShownLimit<'a>, Quota, Nanos); FEW]>,
}

/// A limit, and the number of requests in its period for this request.
#[derive(Clone, Copy)]
struct ShownLimit<'a> {
    compiled: &'a Compiled,
    requests: u32,
}

impl<'a> ShownLimit<'a> {
    fn items(self) -> Cow<'a, PolicyItems> {
        match &self.compiled.quota_policy.fixed {
            Some(items) => Cow::Borrowed(items),
            None => Cow::Owned(PolicyItems::of(&self.compiled.limit, self.requests)),
        }
    }
}

impl ShownLimits<'_> {
    fn sort(&mut self) {
        // The remaining shares are fractions, compared by cross-multiplication.
        let part = |a: Quota, b: Quota| u64::from(a.remaining) * u64::from(b.capacity.max(1));
        self.left.sort_by(|(_, a, wait), (_, b, other_wait)| {
            let longest_first = other_wait.cmp(wait);
            longest_first.then(part(*a, *b).cmp(&part(*b, *a)))
        });
    }

    /// `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers.
    fn policies(&self) -> Bytes {
        match self.limits.as_slice() {
            [limit] => limit.items().item.clone(),
            limits => {
                let mut list = Vec::new();
                for limit in limits {
                    if !list.is_empty() {
                        list.extend_from_slice(b", ");
                    }
                    list.extend_from_slice(&limit.items().item);
                }
                list.into()
            }
        }
    }

    /// `RateLimit` of the same draft. It is written for each request, so a short list takes no memory.
    fn with_ratelimit<T>(&self, act: impl FnOnce(&[u8]) -> T) -> T {
        let mut short = [0; 96];
        let mut room = &mut short[..];
        if self.write_ratelimit(&mut room).is_ok() {
            let left = room.len();
            let length = short.len() - left;
            return act(short.get(..length).unwrap_or_default());
        }
        let mut long = Vec::new();
        // Writing to a Vec does not fail.
        let _ = self.write_ratelimit(&mut long);
        act(&long)
    }

    /// An error means that there is not enough room. This formats nothing that the configuration determines, and the
    /// formatter of the standard library takes several times as long.
    fn write_ratelimit(&self, list: &mut impl io::Write) -> io::Result<()> {
        let mut number = itoa::Buffer::new();
        for (position, (limit, quota, _)) in self.left.iter().enumerate() {
            if position > 0 {
                list.write_all(b", ")?;
            }
            list.write_all(limit.compiled.quota_policy.remaining.as_bytes())?;
            list.write_all(number.format(quota.remaining).as_bytes())?;
            if quota.reset_after > Nanos::ZERO {
                list.write_all(b";t=")?;
                list.write_all(number.format(quota.reset_after.ceil_secs()).as_bytes())?;
            }
        }
        Ok(())
    }

    /// The three headers that Envoy calls `DRAFT_VERSION_03`.
    fn x_ratelimit(&self) -> Option<XRateLimit> {
        let (tightest, quota, _) = self.left.first()?;
        let mut limit = tightest.items().requests.to_string();
        for policy in &self.limits {
            limit.push_str(", ");
            limit.push_str(&policy.items().x_item);
        }
        Some(XRateLimit {
            limit,
            remaining: quota.remaining,
            reset: quota.reset_after.ceil_secs(),
        })
    }
}

struct XRateLimit {
    limit: String,
    remaining: u32,
    reset: u64,
}

impl XRateLimit {
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
