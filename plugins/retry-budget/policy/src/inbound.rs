//! Requests that are already retries, because a caller has sent them before.
//!
//! Headers mark them:
//!
//! | header | value | written by |
//! |---|---|---|
//! | `x-envoy-attempt-count` | attempts with this one | an Envoy with `include_request_attempt_count` |
//! | `grpc-previous-rpc-attempts` | attempts before this one | gRPC clients (gRFC A6) |
//! | any other | attempts before this one | callers that agreed to write it |
//!
//! After an internal redirect, `x-envoy-attempt-count` is ignored: this proxy has written it for the redirected
//! request, and two attempts of that request do not make the next one a retry. (If this Envoy does not write the
//! header, the number is still the caller's, but its retry was counted before the redirect.)
//!
//! The largest of several values counts. A value that is no number is ignored: a client that wants to hide a retry can
//! also omit the header.

use serde::{Deserialize, Deserializer, de};

use portcullis_core::config::HeaderName;
use portcullis_core::headers::HeaderMap;

/// Treatment of a request that is already a retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum InboundRetries {
    /// Deny it if the budget cannot pay for it.
    Deny,
    /// Let the budget pay for it, into debt if necessary.
    Count,
    /// Treat it like any other request.
    #[default]
    Ignore,
}

impl InboundRetries {
    /// A higher number allows a retry less.
    pub(super) fn strictness(self) -> u8 {
        match self {
            Self::Ignore => 0,
            Self::Count => 1,
            Self::Deny => 2,
        }
    }
}

const ATTEMPT_COUNT: &str = "x-envoy-attempt-count";
/// The URL that an internal redirect replaced.
const ORIGINAL_URL: &str = "x-envoy-original-url";
const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// The headers that mark a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttemptHeaders(Vec<HeaderName>);

impl AttemptHeaders {
    /// The number of the retry that the request is; 0 if it is no retry.
    pub(super) fn retry(&self, headers: &HeaderMap, is_redirected: bool) -> u32 {
        let is_callers = |name: &&HeaderName| !is_redirected || name.as_str() != ATTEMPT_COUNT;
        let retries = self.0.iter().filter(is_callers).flat_map(|name| {
            let first = u32::from(name.as_str() == ATTEMPT_COUNT);
            let attempts = headers.values(name.as_str()).filter_map(largest);
            attempts.map(move |attempts| attempts.saturating_sub(first))
        });
        retries.max().unwrap_or_default()
    }
}

/// Whether an internal redirect may have led to a request that looks like a retry: Envoy then writes these two headers.
pub(super) fn may_be_redirected(headers: &HeaderMap) -> bool {
    headers.contains(ATTEMPT_COUNT) && headers.contains(ORIGINAL_URL)
}

/// The largest number of a list.
fn largest(line: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(line).ok()?;
    let numbers = text
        .split(',')
        .filter_map(|number| number.trim_ascii().parse().ok());
    numbers.max()
}

impl Default for AttemptHeaders {
    fn default() -> Self {
        let known = [ATTEMPT_COUNT, PREVIOUS_ATTEMPTS].map(str::to_owned);
        // Both are valid names of headers.
        let names = known.into_iter().flat_map(HeaderName::try_from);
        Self(names.collect())
    }
}

impl<'de> Deserialize<'de> for AttemptHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<HeaderName>::deserialize(deserializer)?;
        match names.is_empty() {
            true => Err(de::Error::custom(
                "found an empty array; expected the name of a header (to treat no request as a \
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
