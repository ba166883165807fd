//! Results that count as failures, and results that do not count.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::flags::{Flag, UPSTREAM_FAILED};
use super::grpc::GrpcStatus;
use portcullis_core::config::Statuses;

/// Results that count as failures, and results that do not count.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct Failures {
    /// HTTP statuses that are failures: numbers, or classes such as `5xx`. Default: `5xx` without 501, 505 and 510,
    /// which refuse a kind of request that the client chooses. An explicit `5xx` includes them.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Statuses>"))]
    statuses: Option<Vec<Statuses>>,
    /// gRPC statuses that are failures, by name (`"UNAVAILABLE"`) or number. Default: `DEADLINE_EXCEEDED` (4),
    /// `INTERNAL` (13), `UNAVAILABLE` (14) and `DATA_LOSS` (15).
    grpc: Vec<GrpcStatus>,
    /// Flags of Envoy's access log that are failures. A flag that is not about the upstream takes precedence over
    /// everything else. Default: UH, UT, UR, UF, UC and UPE.
    flags: Vec<Flag>,
    /// Responses that are neither failures nor successes: HTTP statuses as in `statuses`, and gRPC statuses by name.
    ignored: Vec<Ignored>,
    /// Whether it is a failure if the upstream leaves an upgrade (a WebSocket) unanswered: it is late, or breaks off.
    /// Default: false, because many servers hang up on an upgrade of a path that has none, and any client can request
    /// one. Set it for breakers that match only WebSockets.
    upgrades: bool,
}

/// Statuses with which a server refuses a kind of request: its method, its HTTP version, a missing extension
/// (RFC 9110, section 15.6; RFC 2774). The client chooses these.
const REFUSING_KINDS: [u16; 3] = [501, 505, 510];

impl Default for Failures {
    fn default() -> Self {
        Self {
            statuses: None,
            grpc: [4, 13, 14, 15].map(GrpcStatus).to_vec(),
            flags: UPSTREAM_FAILED.to_vec(),
            ignored: Vec::new(),
            upgrades: false,
        }
    }
}

impl Failures {
    pub(super) fn has_status(&self, status: u16) -> bool {
        match &self.statuses {
            Some(statuses) => statuses.iter().any(|statuses| statuses.contains(status)),
            None => status / 100 == 5 && !REFUSING_KINDS.contains(&status),
        }
    }

    pub(super) fn has_grpc_status(&self, status: u32) -> bool {
        self.grpc.iter().any(|GrpcStatus(one)| status == *one)
    }

    pub(super) fn ignores_status(&self, status: u16) -> bool {
        let mut ignored = self.ignored.iter();
        ignored.any(|one| matches!(one, Ignored::Http(statuses) if statuses.contains(status)))
    }

    pub(super) fn ignores_grpc_status(&self, status: u32) -> bool {
        let mut ignored = self.ignored.iter();
        ignored.any(|one| matches!(one, Ignored::Grpc(GrpcStatus(one)) if status == *one))
    }

    /// Whether an upgrade that the upstream leaves unanswered counts.
    pub(super) fn has_upgrades(&self) -> bool {
        self.upgrades
    }

    /// The flags, as Envoy's bits.
    pub(super) fn flags(&self) -> u64 {
        let flags = self.flags.iter();
        flags.fold(0, |bits, flag| bits | flag.bit())
    }
}

/// A response that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ignored {
    Http(Statuses),
    Grpc(GrpcStatus),
}

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Ignored;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an HTTP status from 100 to 599, a class such as \"4xx\", or the name of a gRPC status \
                     such as \"NOT_FOUND\"",
                )
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Ignored, E> {
                let status = Statuses::one(number).map(Ignored::Http);
                status.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ignored, E> {
                let class = Statuses::class(text).map(Ignored::Http);
                class
                    .or_else(|| GrpcStatus::named(text).map(Ignored::Grpc))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Ignored {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ignored".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let statuses = generator.subschema_for::<Statuses>();
        schemars::json_schema!({"anyOf": [statuses, {"enum": super::grpc::NAMES}]})
    }
}
