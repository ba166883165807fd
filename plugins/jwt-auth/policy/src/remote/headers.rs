//! The headers of a request for a document.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use portcullis_core::config::{HeaderName, HeaderValue, is_framing};

/// Media types of documents, the most specific one first. Some servers answer 406 without the first (Kubernetes), some
/// without the last.
const ACCEPT: (&str, &str) = ("accept", "application/jwk-set+json, application/json, */*");

/// Without this header, a server may compress its response (RFC 9110, section 12.5.3).
const ACCEPT_ENCODING: (&str, &str) = ("accept-encoding", "identity");

/// Some servers refuse requests without a `user-agent`.
const USER_AGENT: (&str, &str) = (
    "user-agent",
    concat!("portcullis/", env!("CARGO_PKG_VERSION")),
);

/// Names and values of headers; names are in lower case, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FetchHeaders(Vec<(String, String)>);

impl FetchHeaders {
    /// All headers of a request for a document except the pseudo-headers: the configured ones, and the defaults of
    /// `accept`, `accept-encoding` and `user-agent` unless these are configured.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let usual = [ACCEPT, ACCEPT_ENCODING, USER_AGENT];
        let usual = usual.into_iter().filter(|(name, _)| !self.contains(name));
        let own = self.0.iter().map(|(name, value)| (&**name, &**value));
        usual.chain(own)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }
}

/// Reads an object of names and values.
impl<'de> Deserialize<'de> for FetchHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FetchHeaders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and values")
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<FetchHeaders, A::Error> {
                let mut headers = FetchHeaders::default();
                while let Some(Name(name)) = members.next_key()? {
                    let HeaderValue(value) = members.next_value()?;
                    if headers.contains(&name) {
                        return Err(de::Error::custom(format!(
                            "found {name:?} twice; expected each header once: letter case does not \
                             matter"
                        )));
                    }
                    // A header value here is visible ASCII, so nothing is lost.
                    let value = String::from_utf8_lossy(&value).into_owned();
                    headers.0.push((name, value));
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        if is_framing(&name) || name == "host" {
            return Err(format!(
                "found {text:?}; expected another header: Envoy writes this one"
            ));
        }
        HeaderName::try_from(name).map(|name| Self(name.as_str().to_owned()))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for FetchHeaders {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FetchHeaders".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 1},
        })
    }
}
