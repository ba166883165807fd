//! Names and values of headers in a configuration.

use bytes::Bytes;
use serde::Deserialize;

use crate::headers::is_token;

/// Names that say how the message is framed or belong to one connection: Envoy writes these.
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

/// Whether a header, by its name in lower case, is Envoy's to write.
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
            // Proxies hand it over as `:authority`: it would never be there.
            return Err(format!(
                "found {text:?}; expected another header: a proxy does not see this one, use \
                 \"hosts\" of a match, or \"host\" of a key"
            ));
        }
        match is_token(&text) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(format!("found {text:?}; expected the name of a header")),
        }
    }
}

/// The value of a header to set: visible ASCII, with blanks and tabs only between.
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
