//! Requests that are retries themselves: somebody before this proxy has sent them already.
//!
//! Headers say so:
//!
//! | header | value | written by |
//! |---|---|---|
//! | `x-envoy-attempt-count` | attempts with this one | an Envoy with `include_request_attempt_count` |
//! | `grpc-previous-rpc-attempts` | attempts before this one | gRPC clients (gRFC A6) |
//! | any other | attempts before this one | whoever it was agreed with |
//!
//! After an internal redirect, `x-envoy-attempt-count` is a number that this proxy has written for the request
//! which was redirected, and is not looked at: that its upstream needed two attempts makes no retry of the
//! next request. (Unless this Envoy writes no attempts. Then the number is the caller's still, and its retry
//! was looked at before the redirect.)
//!
//! Of several values the largest counts. What is no number counts as none: a client that wants to hide
//! a retry can leave the header away just as well.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use portcullis_core::config::HeaderName;
use portcullis_core::headers::HeaderMap;

/// What becomes of a request that is a retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum InboundRetries {
    /// It is denied if the budget cannot pay for it.
    Deny,
    /// The budget pays for it, and goes into debt if it has to.
    Count,
    /// It is a request like any other.
    #[default]
    Ignore,
}

impl InboundRetries {
    /// The higher, the less a retry may do.
    pub(super) fn strictness(self) -> u8 {
        match self {
            Self::Ignore => 0,
            Self::Count => 1,
            Self::Deny => 2,
        }
    }
}

const ATTEMPT_COUNT: &str = "x-envoy-attempt-count";
/// The URL that an internal redirect has replaced.
const ORIGINAL_URL: &str = "x-envoy-original-url";
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// The headers that tell a retry from a first attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttemptHeaders(Vec<HeaderName>);

impl AttemptHeaders {
    /// Which retry the request is; 0 if none.
    pub(super) fn retry(&self, headers: &HeaderMap, is_redirected: bool) -> u32 {
        let is_callers = |name: &&HeaderName| !is_redirected || name.as_str() != ATTEMPT_COUNT;
        let retries = self.0.iter().filter(is_callers).flat_map(|name| {
            let first = u32::from(name.as_str() == ATTEMPT_COUNT);
            let attempts = headers.get_all(name.as_str()).filter_map(largest);
            attempts.map(move |attempts| attempts.saturating_sub(first))
        });
        retries.max().unwrap_or_default()
    }
}

/// Whether an internal redirect may have led to a request that seems to be a retry: Envoy then writes these two.
pub(super) fn may_be_redirected(headers: &HeaderMap) -> bool {
    headers.contains(ATTEMPT_COUNT) && headers.contains(ORIGINAL_URL)
}

/// The largest number of a list.
fn largest(line: &Bytes) -> Option<u32> {
    let text = std::str::from_utf8(line).ok()?;
    let numbers = text
        .split(',')
        .filter_map(|number| number.trim_ascii().parse().ok());
    numbers.max()
}

impl Default for AttemptHeaders {
    fn default() -> Self {
        let known = [ATTEMPT_COUNT, PREVIOUS_ATTEMPTS].map(str::to_owned);
        // Both are names of headers.
        let names = known.into_iter().flat_map(HeaderName::try_from);
        Self(names.collect())
    }
}

impl<'de> Deserialize<'de> for AttemptHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<HeaderName>::deserialize(deserializer)?;
        match names.is_empty() {
            true => Err(de::Error::custom(
                "found an empty array; expected the name of a header (to take no request for a \
                 retry, set \"inbound_retries\" to \"ignore\")",
            )),
            false => Ok(Self(names)),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for AttemptHeaders {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AttemptHeaders".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = generator.subschema_for::<HeaderName>();
        schemars::json_schema!({"type": "array", "items": name, "minItems": 1})
    }
}
