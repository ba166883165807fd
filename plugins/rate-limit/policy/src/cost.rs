//! Costs: the units that a request consumes.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::rate::Amount;
use portcullis_core::config::{HeaderName, at_member};
use portcullis_core::headers::{HeaderMap, whole_number};

/// The cost of a request: a constant, or the value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    Fixed(Amount),
    InHeader(CostHeader),
}

impl Default for Cost {
    fn default() -> Self {
        Self::Fixed(Amount::ONE)
    }
}

impl Cost {
    /// The cost of this request.
    pub(super) fn of(&self, request: &HeaderMap) -> u32 {
        match self {
            Self::Fixed(cost) => cost.get(),
            Self::InHeader(header) => header.cost(request),
        }
    }

    /// The cost of a request without a cost header.
    pub(super) fn default_amount(&self) -> Amount {
        match self {
            Self::Fixed(cost) => *cost,
            Self::InHeader(header) => header.default,
        }
    }

    pub(super) fn needs_headers(&self) -> bool {
        matches!(self, Self::InHeader(_))
    }
}

/// A request header with the cost, which a trusted component must set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "CostFields")
)]
#[serde(try_from = "CostFields")]
pub(super) struct CostHeader {
    name: HeaderName,
    default: Amount,
    max: Amount,
}

impl CostHeader {
    /// The largest of all lines. A line that is not a number stands for the default.
    fn cost(&self, request: &HeaderMap) -> u32 {
        let lines = request.values(self.name.as_str());
        let costs = lines.map(|line| whole_number(line).unwrap_or(self.default.get()));
        costs
            .max()
            .unwrap_or(self.default.get())
            .min(self.max.get())
    }
}

/// A request header with the cost of the request, which a trusted component must set. The largest of several
/// values applies.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct CostFields {
    /// Name of the request header. Its value is a whole number.
    header: HeaderName,
    /// Cost of a request whose header is missing or not a whole number. Default: 1.
    #[serde(default = "one")]
    default: Amount,
    /// Highest cost of a request: greater values of the header count as this one. Default: 1000000000.
    #[serde(default = "no_maximum")]
    max: Amount,
}

fn one() -> Amount {
    Amount::ONE
}

pub(super) fn no_maximum() -> Amount {
    Amount::MAX
}

impl TryFrom<CostFields> for CostHeader {
    type Error = String;

    fn try_from(fields: CostFields) -> Result<Self, String> {
        let CostFields {
            header,
            default,
            max,
        } = fields;
        if default > max {
            let message = format!("found {default}; expected no more than \"max\", which is {max}");
            return Err(at_member("default", message));
        }
        Ok(Self {
            name: header,
            default,
            max,
        })
    }
}

/// Reads a number or an object.
impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Cost;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or {\"header\": …, \"default\": …, \"max\": …}")
            }

            fn visit_u64<E: de::Error>(self, amount: u64) -> Result<Cost, E> {
                Amount::try_from(amount).map(Cost::Fixed).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<Cost, A::Error> {
                let members = de::value::MapAccessDeserializer::new(members);
                CostHeader::deserialize(members).map(Cost::InHeader)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Cost {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let amount = generator.subschema_for::<Amount>();
        let header = generator.subschema_for::<CostHeader>();
        schemars::json_schema!({"oneOf": [amount, header]})
    }
}
