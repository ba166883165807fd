//! Claims as request headers for the upstream. [`claim_value`] defines the values.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, de};

use super::claim_value::{self, ClaimValueError};
use crate::jose::Object;
use portcullis_core::config::{FRAMING, HeaderName, Text};
use portcullis_core::readings::is_spelling_of;

/// Headers that identify a request's client, target or path through proxies: a claim must not replace them.
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

    /// Whether a server may read the header of this name as this one.
    pub(super) fn is_spelled(&self, name: &str) -> bool {
        is_spelling_of(name.as_bytes(), self.as_str())
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
        let mut reserved = FRAMING.iter().chain(&RESERVED);
        let begins_like = |prefix: &&str| {
            let start = name.as_bytes().get(..prefix.len());
            start.is_some_and(|start| is_spelling_of(start, prefix))
        };
        let is_reserved = reserved.any(|other| is_spelling_of(name.as_bytes(), other))
            || RESERVED_PREFIXES.iter().any(begins_like);
        match is_reserved {
            true => Err(format!(
                "found {name:?}; expected another header: this one already has a meaning"
            )),
            false => Ok(Self(Bytes::copy_from_slice(name.as_bytes()))),
        }
    }
}

/// The error for two names that many servers treat as one.
pub(super) fn two_spellings(one: &ClaimHeader, other: &ClaimHeader) -> String {
    format!(
        "found the headers {:?} and {:?}; expected one of them: CGI, WSGI and others treat the two \
         names as one",
        one.as_str(),
        other.as_str()
    )
}

/// `claims_to_headers`: headers, and the paths of the claims that fill them. Each header once.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimHeaders(Vec<(ClaimHeader, Text)>);

impl ClaimHeaders {
    pub(super) fn names(&self) -> impl Iterator<Item = &ClaimHeader> {
        self.0.iter().map(|(header, _)| header)
    }

    /// The headers for these claims.
    pub(super) fn of(&self, claims: &Object) -> Result<Vec<(Bytes, Bytes)>, ClaimValueError> {
        let mut headers = Vec::with_capacity(self.0.len());
        for (header, path) in &self.0 {
            let claim = claims.at(path.as_str());
            if let Some(value) = claim.map(claim_value::of).transpose()?.flatten() {
                headers.push((header.name().clone(), value));
            }
        }
        Ok(headers)
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
                    let is_alike = |other: &&ClaimHeader| other.is_spelled(header.as_str());
                    if let Some(other) = headers.names().find(is_alike) {
                        return Err(de::Error::custom(match *other == header {
                            true => format!(
                                "found {:?} twice; expected each header once: letter case does not \
                                 matter",
                                header.as_str()
                            ),
                            false => two_spellings(other, &header),
                        }));
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
