//! One budget.

use std::fmt;

use serde::Deserialize;

use super::backoff::Backoff;
use super::breaker::BreakerName;
use super::inbound::{AttemptHeaders, InboundRetries};
use super::ledger::Rules;
use super::retry_on::{Conditions, RetryOn, Status, short_list};
use portcullis_core::config::{BoundedDuration, BoundedInteger, HeaderName, Mode, Name};
use portcullis_core::headers::HeaderMap;
use portcullis_core::key::KeyPart;
use portcullis_core::matcher::Match;
use portcullis_core::reply::ErrorStatus;
use portcullis_table::{blocks_for, fingerprint};

/// From a second to an hour.
type Window = BoundedDuration<1_000, 3_600_000>;

/// A budget: it limits the retries of the requests that it applies to.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Budget", rename = "Budget")
)]
#[serde(try_from = "Budget")]
pub(super) struct CheckedBudget {
    pub(super) budget: Budget,
    /// The conditions on which Envoy retries.
    pub(super) conditions: Conditions,
}

impl TryFrom<Budget> for CheckedBudget {
    type Error = String;

    fn try_from(budget: Budget) -> Result<Self, String> {
        let conditions = Conditions::new(
            budget.retry_on.as_ref(),
            budget.retriable_status_codes.as_deref(),
            budget.retriable_headers.as_deref(),
        )?;
        Ok(Self { budget, conditions })
    }
}

/// A budget: it limits the retries of the requests that it applies to.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    /// Name of the budget, unique; used in metrics.
    pub(super) name: Name,
    /// Requests that this budget applies to. Default: all.
    #[serde(rename = "match")]
    pub(super) condition: Option<Match>,
    /// Values that have a budget of their own. Empty: all requests share one.
    #[serde(default)]
    pub(super) key: Vec<KeyPart>,
    /// Number of retries that a hundred requests buy: 0 to 1000. Default: 20.
    #[serde(default = "ratio")]
    ratio: BoundedInteger<0, 1_000>,
    /// Time for which a request counts: `1s` to `1h`. Default: `10s`.
    #[serde(default = "window")]
    window: Window,
    /// Number of retries per second that are always available, even with few requests: 0 to 1000000. Default: 3.
    #[serde(default = "min_retries_per_second")]
    min_retries_per_second: BoundedInteger<0, 1_000_000>,
    /// Number of retries for one request: 0 to 10. It replaces `num_retries` of the route's policy. Default: 1.
    #[serde(default = "max_retries")]
    max_retries: BoundedInteger<0, 10>,
    /// Retry conditions in addition to the route's policy: those of `x-envoy-retry-on` and `x-envoy-retry-grpc-on`,
    /// separated by commas.
    retry_on: Option<RetryOn>,
    /// Statuses that Envoy retries, in addition to `retry_on` and the route's policy: 1 to 20 statuses from 400 to 599.
    #[serde(default, deserialize_with = "short_list")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 20)))]
    retriable_status_codes: Option<Vec<Status>>,
    /// Response headers whose presence makes Envoy retry, regardless of their values: 1 to 20 names.
    #[serde(default, deserialize_with = "short_list")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 20)))]
    retriable_headers: Option<Vec<HeaderName>>,
    /// Whether only GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY requests may be retried. gRPC requests are POST.
    /// Default: true.
    #[serde(default = "yes")]
    pub(super) idempotent_only: bool,
    /// Treatment of requests that are already retries.
    #[serde(default)]
    pub(super) inbound_retries: InboundRetries,
    /// Headers that mark a request as a retry. Default: `x-envoy-attempt-count` and `grpc-previous-rpc-attempts`.
    #[serde(default)]
    pub(super) attempt_headers: AttemptHeaders,
    /// Status of the response to a denied retry: 400 to 599. Default: 503.
    #[serde(default)]
    pub(super) deny_status: ErrorStatus<503>,
    /// Delay before the sender of a denied retry may try again.
    #[serde(default)]
    pub(super) backoff: Backoff,
    /// Circuit breaker, written `<policy>/<breaker>`. While it is open, nothing is retried.
    pub(super) respect_breaker: Option<BreakerName>,
    /// Enforce the budget, only count and mark, or ignore it. The milder of this mode and the plugin's `mode` applies.
    #[serde(default)]
    pub(super) mode: Mode,
}

fn ratio() -> BoundedInteger<0, 1_000> {
    const { BoundedInteger::new(20) }
}

fn window() -> Window {
    const { BoundedDuration::millis(10_000) }
}

fn min_retries_per_second() -> BoundedInteger<0, 1_000_000> {
    const { BoundedInteger::new(3) }
}

fn max_retries() -> BoundedInteger<0, 10> {
    const { BoundedInteger::new(1) }
}

fn yes() -> bool {
    true
}

/// The methods that can be repeated safely (RFC 9110, section 9.2.2; QUERY: RFC 10008, section 2).
const IDEMPOTENT: [&[u8]; 7] = [
    b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"QUERY",
];

impl Budget {
    /// The number of blocks of its table; 0 if it needs no table.
    pub(super) fn blocks(&self, max_keys: u32) -> u32 {
        let is_one_key = self.key.iter().all(KeyPart::is_constant);
        match (self.mode, is_one_key) {
            (Mode::Off, _) => 0,
            (_, true) => 1,
            (_, false) => blocks_for(max_keys),
        }
    }

    /// The value of the counts in its ledgers.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            ratio: self.ratio.get(),
            window: self.window.nanos(),
            min_retries_per_second: self.min_retries_per_second.get(),
        }
    }

    /// How many retries a request with this method should have, if the budget pays for them.
    pub(super) fn wanted(&self, method: &[u8]) -> u32 {
        match self.idempotent_only && !IDEMPOTENT.contains(&method) {
            true => 0,
            false => self.max_retries.get(),
        }
    }

    /// The number of the retry that a request with these headers is; 0 if it is no retry, or if that does not matter.
    pub(super) fn inbound_retry(&self, headers: &HeaderMap, is_redirected: bool) -> u32 {
        match self.inbound_retries {
            InboundRetries::Ignore => 0,
            InboundRetries::Deny | InboundRetries::Count => {
                self.attempt_headers.retry(headers, is_redirected)
            }
        }
    }

    /// A hash of everything that gives a stored ledger its meaning. The value of its counts is not part of it, because
    /// they are counts of events.
    pub(super) fn identity(&self, blocks: u32) -> u64 {
        fingerprint((&self.name, self.window.nanos(), &self.key, blocks))
    }
}

/// `orders (20 % in 10s, 3/s at least, 2 for a request)`.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} % in {}, {}/s at least, {} for a request",
            self.name,
            self.ratio.get(),
            self.window.get(),
            self.min_retries_per_second.get(),
            self.max_retries.get(),
        )?;
        match self.mode {
            Mode::Enforce => f.write_str(")"),
            mode => write!(f, ", {mode})"),
        }
    }
}
