//! The number of requests of a rate: a constant, or a value of each request.
//!
//! A value of the request is a whole number in a claim of the verified token, or in a header that a trusted component
//! sets. It restricts as much as it can: a missing or invalid value stands for the default, a value above the maximum
//! for the maximum, and of several lines of the header, the smallest number counts.
//!
//! # When the number of a key changes
//!
//! Two requests of one key can have different rates. Each operation uses the rate of its request, a refund or a charge
//! that of the request whose cost it adjusts. A state has a meaning under every rate:
//!
//! - The TAT of GCRA is a time. With a burst of `requests`, the tolerance is `per` whatever their number, so the time to
//!   recover, as a share of `per`, is the share of the burst that is used. A change of the number keeps this share: an
//!   unused burst is unused, a used one is used, and it recovers at the new rate. A request of cost *c* uses
//!   *c* / requests; an interval of length *t* admits shares of at most 1 + *t* / per in total, whatever the numbers.
//!   (Intervals are rounded up to nanoseconds. Numbers above one request in a microsecond are refused, so the difference
//!   between two numbers is at most 0.1 %.) A burst of constant size would be a different share at each number, and
//!   an upgrade could deny a client; so it is refused.
//! - The counts of the windows are requests. A change of the number keeps them, and changes the number that they are
//!   compared with. Counts above it are a debt.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::rate::Amount;
use portcullis_core::config::{HeaderName, Text, at_member};
use portcullis_core::headers::whole_number;
use portcullis_core::key::{Needs, Request, claim};
use portcullis_core::matcher::not_exactly_one;

/// The number of requests that a limit admits in its period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requests {
    Fixed(Amount),
    OfRequest(RequestsPlace),
}

impl Requests {
    /// The number for this request.
    pub(super) fn of(&self, request: &Request<'_>) -> u32 {
        match self {
            Self::Fixed(requests) => requests.get(),
            Self::OfRequest(place) => place.requests(request),
        }
    }

    /// The largest number for any request.
    pub(super) fn most(&self) -> Amount {
        match self {
            Self::Fixed(requests) => *requests,
            Self::OfRequest(place) => place.max,
        }
    }

    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// The parts of a request that the number depends on.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        match self {
            Self::Fixed(_) => {}
            Self::OfRequest(place) => match place.source {
                Source::Claim(_) => needs.claims = true,
                Source::Header(_) => needs.headers = true,
            },
        }
        needs
    }
}

/// The place in the request that contains the number of requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "RequestsFields")
)]
#[serde(try_from = "RequestsFields")]
pub(super) struct RequestsPlace {
    source: Source,
    default: Amount,
    max: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Claim(Text),
    Header(HeaderName),
}

impl RequestsPlace {
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn max(&self) -> Amount {
        self.max
    }

    fn requests(&self, request: &Request<'_>) -> u32 {
        let default = self.default.get();
        let found = match &self.source {
            Source::Claim(path) => claim::whole_number(request.claims, path.as_str()),
            Source::Header(name) => {
                let lines = request.subject.headers().values(name.as_str());
                lines
                    .map(|line| whole_number(line).unwrap_or(default))
                    .min()
            }
        };
        found.unwrap_or(default).min(self.max.get())
    }
}

/// The place in the request that contains the number of requests: exactly one of `claim` and `header`.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(inline, extend("minProperties" = 3, "maxProperties" = 3))
)]
#[serde(deny_unknown_fields)]
struct RequestsFields {
    /// Claim of the token that jwt-auth verified: a whole number, or a text of digits.
    claim: Option<Text>,
    /// Request header that a trusted component must set. Its value is a whole number. The smallest of several values
    /// applies.
    header: Option<HeaderName>,
    /// Number of requests if the value is missing or not a whole number.
    default: Amount,
    /// Highest number of requests: greater values count as this one.
    max: Amount,
}

impl TryFrom<RequestsFields> for RequestsPlace {
    type Error = String;

    fn try_from(fields: RequestsFields) -> Result<Self, String> {
        let RequestsFields {
            claim,
            header,
            default,
            max,
        } = fields;
        let given = [("claim", claim.is_some()), ("header", header.is_some())];
        let source = match (claim, header) {
            (Some(claim), None) => Source::Claim(claim),
            (None, Some(header)) => Source::Header(header),
            _ => return Err(not_exactly_one(&given)),
        };
        if max.get() == 0 {
            let message =
                "found 0; expected at least 1 (to deny everything, set \"requests\" to 0)";
            return Err(at_member("max", message));
        }
        if default > max {
            let message = format!("found {default}; expected no more than \"max\", which is {max}");
            return Err(at_member("default", message));
        }
        Ok(Self {
            source,
            default,
            max,
        })
    }
}

/// Reads a number or an object.
impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Requests;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or {\"claim\": …, \"default\": …, \"max\": …}")
            }

            fn visit_u64<E: de::Error>(self, requests: u64) -> Result<Requests, E> {
                let requests = Amount::try_from(requests).map_err(E::custom)?;
                Ok(Requests::Fixed(requests))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<Requests, A::Error> {
                let members = de::value::MapAccessDeserializer::new(members);
                RequestsPlace::deserialize(members).map(Requests::OfRequest)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// `100`, or `claim "plan.rpm" (default 60, at most 10000)`.
impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(requests) => requests.fmt(f),
            Self::OfRequest(place) => {
                let RequestsPlace { default, max, .. } = place;
                match &place.source {
                    Source::Claim(path) => write!(f, "claim {:?}", path.as_str())?,
                    Source::Header(name) => write!(f, "header {:?}", name.as_str())?,
                }
                write!(f, " (default {default}, at most {max})")
            }
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Requests {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Requests".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let amount = generator.subschema_for::<Amount>();
        let place = generator.subschema_for::<RequestsPlace>();
        schemars::json_schema!({"oneOf": [amount, place]})
    }
}
