//! On what Envoy retries.

use bytes::Bytes;
use serde::Deserialize;

/// What `x-envoy-retry-on` may say.
const HTTP: [&str; 11] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
];

/// What `x-envoy-retry-grpc-on` may say.
const GRPC: [&str; 5] = [
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// Conditions, which Envoy takes from two headers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct RetryOn {
    /// For `x-envoy-retry-on`.
    pub(super) http: Option<Bytes>,
    /// For `x-envoy-retry-grpc-on`.
    pub(super) grpc: Option<Bytes>,
}

impl TryFrom<String> for RetryOn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let conditions: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_known = |condition: &&&str| HTTP.contains(condition) || GRPC.contains(condition);
        if let Some(unknown) = conditions.iter().find(|condition| !is_known(condition)) {
            let [http, grpc] = [HTTP.join(", "), GRPC.join(", ")];
            return Err(format!(
                "found {unknown:?}; expected conditions of Envoy, separated by commas: {http}; for \
                 gRPC: {grpc}"
            ));
        }
        let those_in = |known: &[&str]| {
            let those = conditions
                .iter()
                .filter(|condition| known.contains(condition));
            let those: Vec<&str> = those.copied().collect();
            (!those.is_empty()).then(|| those.join(",").into())
        };
        Ok(Self {
            http: those_in(&HTTP),
            grpc: those_in(&GRPC),
        })
    }
}
