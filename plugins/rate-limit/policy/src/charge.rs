//! The actual cost of a request, as its response shows it.
//!
//! | source | read in | cost |
//! |---|---|---|
//! | `header` | the response's headers | the number; the largest of several |
//! | `trailer` | the response's trailers; a gRPC response without a body has its trailers as headers | the same |
//! | `metadata` | the end of the stream | the number that another filter stored in the dynamic metadata |
//! | `statuses` | the response's headers | the reservation for these statuses, 0 for all others |
//!
//! Without a whole number there, the reservation stands.

use serde::Deserialize;

use super::cost::no_maximum;
use super::rate::Amount;
use portcullis_core::config::{HeaderName, Statuses, Text, at_member};
use portcullis_core::headers::{HeaderMap, whole_number};
use portcullis_core::matcher::not_exactly_one;

/// Where the response shows the actual cost of its request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "ChargeFields")
)]
#[serde(try_from = "ChargeFields")]
pub(super) enum ChargeResponse {
    Header(HeaderName, Amount),
    Trailer(HeaderName, Amount),
    Metadata(MetadataKey, Amount),
    Statuses(Vec<Statuses>),
}

/// A value in Envoy's dynamic metadata.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct MetadataKey {
    /// Namespace, such as `io.envoy.ai_gateway`.
    pub(super) namespace: Text,
    /// Key in the namespace, such as `llm_total_token`.
    pub(super) key: Text,
}

/// The part of a response in which a cost can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponsePart {
    Headers,
    Trailers,
    End,
}

impl ChargeResponse {
    /// The part that shows the cost, unless the response is one without a body.
    pub(super) fn part(&self) -> ResponsePart {
        match self {
            Self::Header(..) | Self::Statuses(_) => ResponsePart::Headers,
            Self::Trailer(..) => ResponsePart::Trailers,
            Self::Metadata(..) => ResponsePart::End,
        }
    }

    /// Whether these headers decide about the cost.
    pub(super) fn is_decided_by(&self, headers: &HeaderMap) -> bool {
        match self.part() {
            ResponsePart::Headers => true,
            ResponsePart::Trailers => headers.contains(GRPC_STATUS),
            ResponsePart::End => false,
        }
    }

    /// The cost in the headers or trailers of a response, if this was reserved; `None` if they show none.
    pub(super) fn in_headers(&self, headers: &HeaderMap, reserved: u32) -> Option<u32> {
        match self {
            Self::Header(name, max) | Self::Trailer(name, max) => {
                let lines = headers.values(name.as_str());
                let actual = lines.filter_map(whole_number).max()?;
                Some(actual.min(max.get()))
            }
            Self::Statuses(statuses) => {
                let status = headers.get(":status").and_then(|line| whole_number(line));
                let status = status.and_then(|status| u16::try_from(status).ok())?;
                let is_charged = statuses.iter().any(|statuses| statuses.contains(status));
                Some(if is_charged { reserved } else { 0 })
            }
            Self::Metadata(..) => None,
        }
    }

    /// The cost that a number in the dynamic metadata means; `None` if it is not a whole number.
    pub(super) fn in_metadata(&self, number: f64) -> Option<u32> {
        let Self::Metadata(_, max) = self else {
            return None;
        };
        let is_whole = number >= 0.0 && number.fract() == 0.0;
        // The conversion saturates.
        is_whole.then(|| (number as u32).min(max.get()))
    }
}

/// A gRPC response without a body has its trailers as headers, and this one among them.
const GRPC_STATUS: &str = "grpc-status";

/// The actual cost of the request: exactly one of `header`, `trailer`, `metadata` and `statuses`. The difference from
/// the reserved cost is charged or refunded, once.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct ChargeFields {
    /// Name of the response header with the cost. Its value is a whole number; without one, the reserved cost stands. The
    /// largest of several values applies.
    header: Option<HeaderName>,
    /// Name of the response trailer with the cost, as for `header`.
    trailer: Option<HeaderName>,
    /// Dynamic metadata with the cost, which a filter nearer to the upstream sets by the end of the response: a whole
    /// number; without one, the reserved cost stands.
    metadata: Option<MetadataKey>,
    /// HTTP statuses whose responses cost what was reserved: numbers, or classes such as `4xx`. All other responses cost
    /// nothing.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Vec<Statuses>>", length(min = 1))
    )]
    statuses: Option<Vec<Statuses>>,
    /// Highest cost that a response can report: greater values count as this one. Not with `statuses`.
    /// Default: 1000000000.
    max: Option<Amount>,
}

impl TryFrom<ChargeFields> for ChargeResponse {
    type Error = String;

    fn try_from(fields: ChargeFields) -> Result<Self, String> {
        let given = [
            ("header", fields.header.is_some()),
            ("trailer", fields.trailer.is_some()),
            ("metadata", fields.metadata.is_some()),
            ("statuses", fields.statuses.is_some()),
        ];
        let max = fields.max.unwrap_or(no_maximum());
        match (
            fields.header,
            fields.trailer,
            fields.metadata,
            fields.statuses,
        ) {
            (Some(name), None, None, None) => Ok(Self::Header(name, max)),
            (None, Some(name), None, None) => Ok(Self::Trailer(name, max)),
            (None, None, Some(key), None) => Ok(Self::Metadata(key, max)),
            (None, None, None, Some(_)) if fields.max.is_some() => {
                let message =
                    format!("found {max} with \"statuses\", which charge what was reserved");
                Err(at_member("max", message))
            }
            (None, None, None, Some(statuses)) if statuses.is_empty() => {
                let message = "found an empty array; expected a status such as 401 or \"4xx\"";
                Err(at_member("statuses", message))
            }
            (None, None, None, Some(statuses)) => Ok(Self::Statuses(statuses)),
            _ => Err(not_exactly_one(&given)),
        }
    }
}
