//! A response that a plugin sends instead of the upstream's, and the parts of it that users can configure.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use crate::config::{HeaderValue, is_framing};
use crate::headers::is_token;

/// A response that a plugin sends itself. Envoy adds `content-length`, and turns it into a gRPC status for a gRPC
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The status of a gRPC request. If it is `None`, Envoy derives it from the HTTP status.
    pub grpc_status: Option<u32>,
    /// The response-code details for Envoy's access log: short, without spaces.
    pub details: Bytes,
    /// Headers in addition to those that Envoy sets, in order.
    pub headers: Vec<(Bytes, Bytes)>,
    /// The body. Its type is `text/plain` unless `headers` say otherwise.
    pub body: Bytes,
}

/// The HTTP status of a denial, from 400 to 599.
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

/// Headers to add to a reply. Each name occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHeaders(Vec<(Bytes, Bytes)>);

impl ReplyHeaders {
    /// The headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(Bytes, Bytes)> {
        self.0.iter()
    }

    /// Whether there is a header of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }
}

/// Headers that Portcullis writes itself, and prefixes of such headers.
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

/// Reads a JSON object of header names and values.
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
                            "found {:?} twice; expected each header once: names are \
                             case-insensitive",
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
