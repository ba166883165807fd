//! Claims as request headers for the upstream.
//!
//! | claim | value of the header |
//! |---|---|
//! | text | the text |
//! | number, truth value | as JSON writes it |
//! | array of texts | the texts with commas between, if that is unambiguous: each begins with a letter or digit and has no comma. Else the array as JSON, which begins with `[`. |
//! | other array, object | as JSON |
//! | null, absent, nothing | no header |
//!
//! Control bytes (CR, LF and NUL among them) become blanks, as RFC 9110, section 5.5, has it; taken out
//! instead, `ad\nmin` would become `admin`. Blanks at the ends are taken away. Text that is not ASCII
//! stays UTF-8, which is opaque to HTTP (`obs-text`). A value cannot be longer than the token was.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::config::{HeaderName, Text, is_framing};
use crate::jose::Object;

/// Headers that say who sent a request, whereto, and on which way: none of them is a claim's place.
const RESERVED: [&str; 6] = [
    "authorization",
    "cookie",
    "forwarded",
    "proxy-authorization",
    "x-forwarded-for",
    "x-forwarded-proto",
];
const RESERVED_PREFIXES: [&str; 2] = ["x-envoy-", "x-portcullis-"];

/// A header that a provider sets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "HeaderName")]
pub(super) struct ClaimHeader(Bytes);

impl ClaimHeader {
    pub(super) fn name(&self) -> &Bytes {
        &self.0
    }

    pub(super) fn as_str(&self) -> &str {
        // A token is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<HeaderName> for ClaimHeader {
    type Error = String;

    fn try_from(name: HeaderName) -> Result<Self, String> {
        let name = name.as_str();
        let is_reserved = is_framing(name)
            || RESERVED.contains(&name)
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix));
        match is_reserved {
            true => Err(format!(
                "found {name:?}; expected another header: this one has a meaning already"
            )),
            false => Ok(Self(Bytes::copy_from_slice(name.as_bytes()))),
        }
    }
}

/// `claims_to_headers`: headers, and the paths of the claims that they get. Each header once.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimHeaders(Vec<(ClaimHeader, Text)>);

impl ClaimHeaders {
    pub(super) fn names(&self) -> impl Iterator<Item = &ClaimHeader> {
        self.0.iter().map(|(header, _)| header)
    }

    /// The headers for these claims.
    pub(super) fn of(&self, claims: &Object) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.0.iter().filter_map(|(header, path)| {
            let value = value(claims.at(path.as_str())?)?;
            Some((header.name().clone(), value))
        })
    }
}

impl<'de> Deserialize<'de> for ClaimHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ClaimHeaders;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of headers and claims, such as {\"x-user\": \"sub\"}")
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<ClaimHeaders, A::Error> {
                let mut headers = ClaimHeaders::default();
                while let Some((header, path)) = members.next_entry::<ClaimHeader, Text>()? {
                    if headers.names().any(|other| *other == header) {
                        return Err(de::Error::custom(format!(
                            "found {:?} twice; expected each header once: letter case does not count",
                            header.as_str()
                        )));
                    }
                    headers.0.push((header, path));
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ClaimHeaders {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimHeaders".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 1},
        })
    }
}

/// The value of a header for this claim.
fn value(claim: &Value) -> Option<Bytes> {
    let text = match claim {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => joined(items).unwrap_or_else(|| claim.to_string()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => claim.to_string(),
    };
    let visible = text.replace(|character: char| character.is_ascii_control(), " ");
    let trimmed = visible.trim_matches(' ');
    (!trimmed.is_empty()).then(|| Bytes::copy_from_slice(trimmed.as_bytes()))
}

fn joined(items: &[Value]) -> Option<String> {
    let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    let is_plain = |text: &&str| {
        text.starts_with(|first: char| first.is_alphanumeric()) && !text.contains(',')
    };
    texts
        .filter(|texts| texts.iter().all(is_plain))
        .map(|texts| texts.join(","))
}
