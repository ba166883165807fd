//! Parts of headers that a configuration can set.

use bytes::Bytes;
use serde::Deserialize;

/// Names that say how the message is framed or belong to one connection: Envoy writes these.
const FRAMING: [&str; 9] = [
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
pub(crate) fn is_framing(name: &str) -> bool {
    FRAMING.contains(&name)
}

/// The value of a header to set: visible ASCII, with blanks and tabs only between.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String")
)]
#[serde(try_from = "String")]
pub(crate) struct HeaderValue(pub(crate) Bytes);

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
