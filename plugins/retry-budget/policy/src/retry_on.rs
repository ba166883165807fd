//! On what Envoy retries.
//!
//! Envoy's router takes conditions from headers of the request, beside those of the route. Two of them need
//! something more: `retriable-status-codes` the statuses, `retriable-headers` the names of the response
//! headers. Where a budget gives these, it has the condition, too.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use portcullis_core::config::{BoundedInteger, HeaderName};

const STATUS_CODES: &str = "retriable-status-codes";
const HEADERS: &str = "retriable-headers";

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
    STATUS_CODES,
    HEADERS,
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

/// The most statuses, and the most headers.
const MAX_LISTED: usize = 20;

/// A status that can be retried on: an error.
pub(super) type Status = BoundedInteger<400, 599>;

/// Conditions as they are configured, known and separated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct RetryOn {
    http: Vec<&'static str>,
    grpc: Vec<&'static str>,
}

impl TryFrom<String> for RetryOn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut retry_on = Self::default();
        for condition in text.split(',').map(str::trim) {
            let is_it = |known: &&&str| **known == condition;
            let known = HTTP.iter().find(is_it).map(|it| (it, &mut retry_on.http));
            let grpc = || GRPC.iter().find(is_it);
            let known = match known {
                Some(known) => Some(known),
                None => grpc().map(|it| (it, &mut retry_on.grpc)),
            };
            let Some((condition, conditions)) = known else {
                let [http, grpc] = [HTTP.join(", "), GRPC.join(", ")];
                return Err(format!(
                    "found {condition:?}; expected conditions of Envoy, separated by commas: {http}; \
                     for gRPC: {grpc}"
                ));
            };
            conditions.push(*condition);
        }
        Ok(retry_on)
    }
}

/// The values of the router's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    /// For `x-envoy-retry-on`.
    pub(super) http: Option<Bytes>,
    /// For `x-envoy-retry-grpc-on`.
    pub(super) grpc: Option<Bytes>,
    /// For `x-envoy-retriable-status-codes`.
    pub(super) status_codes: Option<Bytes>,
    /// For `x-envoy-retriable-header-names`.
    pub(super) header_names: Option<Bytes>,
}

impl Conditions {
    /// Puts together what a budget says in several fields.
    pub(super) fn new(
        retry_on: Option<&RetryOn>,
        statuses: Option<&[Status]>,
        headers: Option<&[HeaderName]>,
    ) -> Result<Self, String> {
        let RetryOn { mut http, grpc } = retry_on.cloned().unwrap_or_default();
        for (condition, is_given, field, example) in [
            (
                STATUS_CODES,
                statuses.is_some(),
                "retriable_status_codes",
                "[409, 503]",
            ),
            (
                HEADERS,
                headers.is_some(),
                "retriable_headers",
                "[\"x-try-again\"]",
            ),
        ] {
            match (http.contains(&condition), is_given) {
                (true, false) => {
                    return Err(format!(
                        "found {condition:?} in \"retry_on\" without {field:?}, which would never \
                         be met; expected {field:?} as well, such as {example}"
                    ));
                }
                (false, true) => http.push(condition),
                _ => {}
            }
        }
        let statuses = statuses.map(|statuses| {
            let digits = statuses.iter().map(|status| status.get().to_string());
            digits.collect::<Vec<_>>()
        });
        let names = |headers: &[HeaderName]| {
            let names = headers.iter().map(|name| name.as_str().to_owned());
            names.collect::<Vec<_>>()
        };
        Ok(Self {
            http: list(&http),
            grpc: list(&grpc),
            status_codes: list(&statuses.unwrap_or_default()),
            header_names: list(&headers.map(names).unwrap_or_default()),
        })
    }
}

/// A list as it stands in a header; none if it is empty.
fn list(items: &[impl AsRef<str>]) -> Option<Bytes> {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    (!items.is_empty()).then(|| items.join(",").into())
}

/// A list with 1 to [`MAX_LISTED`] members, each once.
pub(super) fn short_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialEq + Shown,
{
    let list = Vec::<T>::deserialize(deserializer)?;
    if !(1..=MAX_LISTED).contains(&list.len()) {
        return Err(de::Error::custom(format!(
            "found {} of them; expected 1 to {MAX_LISTED}",
            list.len()
        )));
    }
    let mut members = list.iter().enumerate();
    let twice = members.find(|(i, member)| list.iter().take(*i).any(|other| other == *member));
    match twice {
        Some((_, member)) => Err(de::Error::custom(format!(
            "found {} twice; expected each once",
            member.shown()
        ))),
        None => Ok(Some(list)),
    }
}

/// A member of a list, in an error.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Status {
    fn shown(&self) -> String {
        self.get().to_string()
    }
}

impl Shown for HeaderName {
    fn shown(&self) -> String {
        format!("{:?}", self.as_str())
    }
}
