//! Names and values of headers in the configuration.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use crate::config::{HeaderValue, is_framing};
use crate::headers::is_token;

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

/// Headers that a rate limiter writes, beside `x-ratelimit-…`.
const RATE_LIMITERS_OWN: [&str; 3] = ["ratelimit", "ratelimit-policy", "retry-after"];

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
        let is_own = RATE_LIMITERS_OWN.contains(&name.as_str()) || name.starts_with("x-ratelimit-");
        if is_framing(&name) || is_own {
            return Err(format!(
                "found {text:?}; expected another header: Envoy or the rate limiter writes this one"
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
