//! The conditions on which Envoy retries.
//!
//! Envoy's router takes conditions from headers of the request, in addition to those of the route. Two conditions need
//! a list: `retriable-status-codes` needs the statuses, `retriable-headers` the names of the response headers. A budget
//! with such a list also has the condition.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use portcullis_core::config::{BoundedInteger, HeaderName};

const STATUS_CODES: &str = "retriable-status-codes";
const HEADERS: &str = "retriable-headers";

/// The conditions of `x-envoy-retry-on`.
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

/// The conditions of `x-envoy-retry-grpc-on`.
const GRPC: [&str; 5] = [
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// The largest number of statuses, and of headers.
const MAX_LISTED: usize = 20;

/// A status that Envoy can retry: an error.
pub(super) type Status = BoundedInteger<400, 599>;

/// The conditions of `retry_on`, all known, HTTP and gRPC apart.
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
                    "found {condition:?}; expected Envoy's retry conditions, separated by commas: {http}; \
                     for gRPC: {grpc}"
                ));
            };
            conditions.push(*condition);
        }
        Ok(retry_on)
    }
}

/// The values of the headers for the router.
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
    /// Combines the fields of a budget.
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
                        "found {condition:?} in \"retry_on\" without {field:?}, so it would never be \
                         met; expected {field:?} as well, such as {example}"
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

/// The value of a header with this list; `None` if the list is empty.
fn list(items: &[impl AsRef<str>]) -> Option<Bytes> {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    (!items.is_empty()).then(|| items.join(",").into())
}

/// A list with 1 to [`MAX_LISTED`] distinct members.
pub(super) fn short_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialEq + Shown,
{
    let list = Vec::<T>::deserialize(deserializer)?;
    if !(1..=MAX_LISTED).contains(&list.len()) {
        return Err(de::Error::custom(format!(
            "found {} entries; expected 1 to {MAX_LISTED}",
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

/// A member of a list, as errors show it.
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
