//! Header names and values in a configuration.

use bytes::Bytes;
use serde::Deserialize;

use crate::headers::is_token;

/// Headers that describe the framing of a message or belong to one connection. Only Envoy writes them.
pub const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Whether only Envoy may write the header with this lower-case name.
pub fn is_framing(name: &str) -> bool {
    FRAMING.contains(&name)
}

/// The name of a header to read, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub struct HeaderName(String);

impl HeaderName {
    /// The name as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("host") {
            // Envoy passes it as `:authority`, so a header of this name is never present.
            return Err(format!(
                "found {text:?}; expected another header: plugins do not see this one; use \
                 \"hosts\" of a match, or \"host\" of a key"
            ));
        }
        match is_token(&text) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(format!("found {text:?}; expected the name of a header")),
        }
    }
}

/// The value of a header to set: visible ASCII characters, with spaces and tabs only between them.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String")
)]
#[serde(try_from = "String")]
pub struct HeaderValue(pub Bytes);

impl TryFrom<String> for HeaderValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // HTTP/2 forbids leading and trailing whitespace.
        let is_valid = !text.is_empty()
            && text.trim_ascii() == text
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'));
        match is_valid {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "found {text:?}; expected the value of a header: visible ASCII, with spaces and \
                 tabs only between them"
            )),
        }
    }
}
