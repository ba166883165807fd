//! What counts as a failure.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::flags::{Flag, UPSTREAM_FAILED};

/// What counts as a failure.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct Failures {
    /// Statuses: numbers, or classes such as `5xx`. Default: `5xx`.
    statuses: Vec<Statuses>,
    /// Statuses of gRPC responses. Default: 4, 13, 14 and 15.
    grpc: Vec<GrpcStatus>,
    /// Flags of Envoy's access log. Default: UH, UT, UR, UF, UC, UMSDR, UPE and DF.
    flags: Vec<Flag>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            statuses: vec![Statuses::Class(5)],
            grpc: [4, 13, 14, 15].map(GrpcStatus).to_vec(),
            flags: UPSTREAM_FAILED.to_vec(),
        }
    }
}

impl Failures {
    pub(super) fn has_status(&self, status: u16) -> bool {
        self.statuses.iter().any(|statuses| match statuses {
            Statuses::Class(class) => status / 100 == *class,
            Statuses::One(one) => status == *one,
        })
    }

    pub(super) fn has_grpc_status(&self, status: u32) -> bool {
        self.grpc.iter().any(|GrpcStatus(one)| status == *one)
    }

    /// The flags, as Envoy's bits.
    pub(super) fn flags(&self) -> u64 {
        let flags = self.flags.iter();
        flags.fold(0, |bits, flag| bits | flag.bit())
    }
}

/// Some HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    /// The first digit.
    Class(u16),
    One(u16),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Statuses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a status from 100 to 599, or \"1xx\", \"2xx\", \"3xx\", \"4xx\", \"5xx\"",
                )
            }

            fn visit_u64<E: de::Error>(self, status: u64) -> Result<Statuses, E> {
                match u16::try_from(status) {
                    Ok(status @ 100..=599) => Ok(Statuses::One(status)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(status), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, class: &str) -> Result<Statuses, E> {
                match class.as_bytes() {
                    [digit @ b'1'..=b'5', b'x', b'x'] => {
                        Ok(Statuses::Class((*digit - b'0').into()))
                    }
                    _ => Err(E::invalid_value(de::Unexpected::Str(class), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"enum": ["1xx", "2xx", "3xx", "4xx", "5xx"]},
            ],
        })
    }
}

/// A status of gRPC other than OK, 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(try_from = "u32")]
struct GrpcStatus(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 16)))] u32);

impl TryFrom<u32> for GrpcStatus {
    type Error = String;

    fn try_from(status: u32) -> Result<Self, String> {
        match status {
            1..=16 => Ok(Self(status)),
            _ => Err(format!(
                "found {status}; expected a status of gRPC from 1 to 16"
            )),
        }
    }
}
