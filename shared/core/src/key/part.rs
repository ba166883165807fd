//! The parts of a key in a configuration, and their values in a request.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::address::{Network, Prefixes};
use super::{Needs, Request, claim};
use crate::config::{HeaderName, Text};
use crate::readings::path::Paths;
use crate::readings::{Reading, cookie, header, method, query};

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// The client's address, or the network that contains it.
    RemoteAddress(Prefixes),
    /// The host of `:authority`.
    Host,
    /// The path without the query.
    Path,
    /// The method.
    Method,
    /// The name of Envoy's route.
    Route,
    /// The name of the cluster that the route leads to.
    Cluster,
    /// The value of this header.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(Text),
    /// The value of this query parameter.
    Query(Text),
    /// The value of this claim of the verified token.
    Claim(Text),
    /// The same text in every request.
    Constant(Text),
}

impl KeyPart {
    /// The value in this request as text for people to read; `None` if it is missing or ambiguous.
    pub(super) fn text(&self, request: &Request<'_>) -> Option<String> {
        match self {
            Self::RemoteAddress(prefixes) => {
                let network = Network::of(request.remote_address, *prefixes).to_string();
                Some(network).filter(|network| !network.is_empty())
            }
            part => part.with_value(request, |value| match value {
                Reading::Value(value) => Some(String::from_utf8_lossy(&value).into_owned()),
                Reading::Missing | Reading::Ambiguous => None,
            }),
        }
    }

    /// The value in this request as a text for a rate-limit service; `None` if it is missing or ambiguous.
    ///
    /// It is the text that Envoy's own rate-limit filter sends, as far as Envoy has an action for the part: an address
    /// without port (`remote_address`), a shorter prefix as `192.0.2.0/24` (`masked_remote_address`), a text claim
    /// without quotes (`metadata`). Bytes that are no UTF-8 become U+FFFD, because services refuse them.
    pub fn service_value(&self, request: &Request<'_>) -> Option<String> {
        match self {
            Self::RemoteAddress(prefixes) => {
                Network::of(request.remote_address, *prefixes).with_prefix(*prefixes)
            }
            Self::Claim(_) => {
                let claim = self.text(request)?;
                Some(serde_json::from_str(&claim).unwrap_or(claim))
            }
            part => part.text(request),
        }
    }

    /// Calls `visit` with the value in this request.
    pub(super) fn with_value<T>(
        &self,
        request: &Request<'_>,
        visit: impl FnOnce(Reading<'_>) -> T,
    ) -> T {
        let subject = request.subject;
        let headers = subject.headers();
        match self {
            Self::RemoteAddress(prefixes) => {
                let network = Network::of(request.remote_address, *prefixes);
                visit(one(network.as_bytes().into()))
            }
            Self::Host => visit(subject.authority().read()),
            Self::Path => visit(match subject.paths().map(Paths::key) {
                None => Reading::Missing,
                Some(Some(path)) => Reading::Value(path),
                Some(None) => Reading::Ambiguous,
            }),
            Self::Method => visit(one(method::canonical(subject.method()))),
            Self::Route => visit(one(subject.route().into())),
            Self::Cluster => visit(one(request.cluster.into())),
            Self::Header(name) => visit(header::read(headers, name.as_str())),
            Self::Cookie(name) => visit(cookie::read(headers, name.as_str())),
            Self::Query(name) => visit(query::read(headers, name.as_str())),
            Self::Claim(name) => {
                let claim = claim::value(request.claims, name.as_str()).unwrap_or_default();
                visit(one(Cow::Owned(claim.into_bytes())))
            }
            Self::Constant(text) => visit(one(text.as_str().as_bytes().into())),
        }
    }

    /// Whether the value is the same for all requests.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    /// The part of the request that contains the value.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        match self {
            Self::RemoteAddress(_) => needs.remote_address = true,
            Self::Route => needs.route = true,
            Self::Cluster => needs.cluster = true,
            Self::Claim(_) => needs.claims = true,
            Self::Constant(_) => {}
            Self::Host | Self::Path | Self::Method => needs.headers = true,
            Self::Header(_) | Self::Cookie(_) | Self::Query(_) => needs.headers = true,
        }
        needs
    }
}

/// A value with one interpretation. An empty value is missing.
fn one(value: Cow<'_, [u8]>) -> Reading<'_> {
    match value.is_empty() {
        true => Reading::Missing,
        false => Reading::Value(value),
    }
}

/// The parts that are written as strings.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plain {
    RemoteAddress,
    Host,
    Path,
    Method,
    Route,
    Cluster,
}

/// The parts that are written as objects with one member.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WithArgument {
    RemoteAddress,
    Header,
    Cookie,
    Query,
    Claim,
    Constant,
}

const ONE_MEMBER: &str = "expected an object with exactly one of: remote_address, header, cookie, \
                          query, claim, constant";

/// Not derived, because `remote_address` may be a string or an object.
impl<'de> Deserialize<'de> for KeyPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = KeyPart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a part of a key, such as \"remote_address\" or {\"header\": \"x-api-key\"}",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KeyPart, E> {
                Ok(
                    match Plain::deserialize(de::value::StrDeserializer::new(text))? {
                        Plain::RemoteAddress => KeyPart::RemoteAddress(Prefixes::default()),
                        Plain::Host => KeyPart::Host,
                        Plain::Path => KeyPart::Path,
                        Plain::Method => KeyPart::Method,
                        Plain::Route => KeyPart::Route,
                        Plain::Cluster => KeyPart::Cluster,
                    },
                )
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<KeyPart, A::Error> {
                let Some(kind) = map.next_key()? else {
                    return Err(de::Error::custom(ONE_MEMBER));
                };
                let part = match kind {
                    WithArgument::RemoteAddress => KeyPart::RemoteAddress(map.next_value()?),
                    WithArgument::Header => KeyPart::Header(map.next_value()?),
                    WithArgument::Cookie => KeyPart::Cookie(map.next_value()?),
                    WithArgument::Query => KeyPart::Query(map.next_value()?),
                    WithArgument::Claim => KeyPart::Claim(map.next_value()?),
                    WithArgument::Constant => KeyPart::Constant(map.next_value()?),
                };
                match map.next_key::<de::IgnoredAny>()? {
                    None => Ok(part),
                    Some(_) => Err(de::Error::custom(format!(
                        "found several members; {ONE_MEMBER}"
                    ))),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for KeyPart {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyPart".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let prefixes = generator.subschema_for::<Prefixes>();
        let header = generator.subschema_for::<HeaderName>();
        let text = generator.subschema_for::<Text>();
        let object = |name: &str, value: &schemars::Schema| {
            schemars::json_schema!({
                "type": "object",
                "properties": {name: value},
                "required": [name],
                "additionalProperties": false,
            })
        };
        schemars::json_schema!({
            "description": "One part of a key.",
            "oneOf": [
                {"enum": ["remote_address", "host", "path", "method", "route", "cluster"]},
                object("remote_address", &prefixes),
                object("header", &header),
                object("cookie", &text),
                object("query", &text),
                object("claim", &text),
                object("constant", &text),
            ],
        })
    }
}
