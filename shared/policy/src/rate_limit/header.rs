//! Names and values of headers in the configuration.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

/// The name of a request or response header to read, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct HeaderName(String);

impl HeaderName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("host") {
            // Proxies hand it over as `:authority`: it would always be missing.
            return Err(format!(
                "found {text:?}; expected the part \"host\" of a key instead"
            ));
        }
        match is_token(&text) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(format!("found {text:?}; expected the name of a header")),
        }
    }
}

/// Headers to add to a reply, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReplyHeaders(Vec<(Bytes, Bytes)>);

impl ReplyHeaders {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Bytes, Bytes)> {
        self.0.iter()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }
}

/// Headers that frame the message or belong to the connection, which Envoy writes, and those that a
/// rate limiter writes.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-ratelimit-limit",
];

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
        if RESERVED.contains(&name.as_str()) || name.starts_with("x-ratelimit-") {
            return Err(format!(
                "found {text:?}; expected another header: Envoy or the rate limiter writes this one"
            ));
        }
        Ok(Self(name.into()))
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct HeaderValue(Bytes);

impl TryFrom<String> for HeaderValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // HTTP/2 forbids blanks at the ends.
        let is_valid = !text.is_empty()
            && text.trim_ascii() == text
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'));
        match is_valid {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "found {text:?}; expected the value of a header: visible ASCII, with blanks and \
                 tabs only between"
            )),
        }
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

/// Whether a text is a `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
