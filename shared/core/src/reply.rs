//! An answer in place of the upstream's, and the parts of it that a configuration can set.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use crate::config::{HeaderValue, is_framing};
use crate::headers::is_token;

/// A response made here. Envoy fills in `content-length`, and for gRPC requests makes a gRPC status
/// of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The status for a gRPC request; without one, Envoy derives it from the HTTP status.
    pub grpc_status: Option<u32>,
    /// The response-code details for Envoy's access log: short, without spaces.
    pub details: Bytes,
    /// Headers beside those that Envoy sets, in order.
    pub headers: Vec<(Bytes, Bytes)>,
    /// The body; `text/plain` unless `headers` say otherwise.
    pub body: Bytes,
}

/// The status of a reply that refuses: 400 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct ErrorStatus<const DEFAULT: u16>(u16);

impl<const DEFAULT: u16> ErrorStatus<DEFAULT> {
    /// The status code.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl<const DEFAULT: u16> Default for ErrorStatus<DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const DEFAULT: u16> TryFrom<u16> for ErrorStatus<DEFAULT> {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        match (400..=599).contains(&status) {
            true => Ok(Self(status)),
            false => Err(format!("found {status}; expected a status from 400 to 599")),
        }
    }
}

#[cfg(feature = "schema")]
impl<const DEFAULT: u16> schemars::JsonSchema for ErrorStatus<DEFAULT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorStatus".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 400, "maximum": 599})
    }
}

/// Headers to add to a reply, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHeaders(Vec<(Bytes, Bytes)>);

impl ReplyHeaders {
    /// The headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(Bytes, Bytes)> {
        self.0.iter()
    }

    /// Whether a header of this name is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }
}

/// Headers that Portcullis writes itself, or those that begin so.
const OWN: [&str; 3] = ["ratelimit", "ratelimit-policy", "retry-after"];
const OWN_PREFIXES: [&str; 2] = ["x-ratelimit-", "x-portcullis-"];

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ReplyHeaderName(Bytes);

impl TryFrom<String> for ReplyHeaderName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        if !is_token(&name) {
            return Err(format!("found {text:?}; expected the name of a header"));
        }
        let is_own = OWN.contains(&name.as_str())
            || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_framing(&name) || is_own {
            return Err(format!(
                "found {text:?}; expected another header: Envoy or Portcullis writes this one"
            ));
        }
        Ok(Self(name.into()))
    }
}

/// An object of names and values.
impl<'de> Deserialize<'de> for ReplyHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ReplyHeaders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and values of headers")
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<ReplyHeaders, A::Error> {
                let mut headers = ReplyHeaders::default();
                while let Some(ReplyHeaderName(name)) = members.next_key()? {
                    let HeaderValue(value) = members.next_value()?;
                    if headers.0.iter().any(|(other, _)| *other == name) {
                        return Err(de::Error::custom(format!(
                            "found {:?} twice; expected each header once: letter case does not \
                             count",
                            String::from_utf8_lossy(&name)
                        )));
                    }
                    headers.0.push((name, value));
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ReplyHeaders {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReplyHeaders".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 1},
        })
    }
}
