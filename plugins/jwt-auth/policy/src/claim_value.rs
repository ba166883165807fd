//! A claim as the value of a header.
//!
//! | claim | value of the header |
//! |---|---|
//! | text | the text |
//! | number, truth value | as JSON writes it |
//! | array of texts | the texts with commas between, if each begins with a letter or digit, has no comma and no blank at its end. Else the array as JSON, which begins with `[`. |
//! | other array, object | as JSON |
//! | null, absent, empty | no header |
//!
//! The value is the claim, byte by byte: nothing is replaced, trimmed or left out, so that two subjects
//! never become one. What a server on the way could change, or take for another claim, is not carried,
//! and the request is refused ([`ClaimValueError`]):
//!
//! - Control characters (C0, DEL, and C1 with U+0085). Envoy and HTTP libraries refuse some of them,
//!   replace others, and end the value at NUL (RFC 9110, section 5.5).
//! - White space at an end. HTTP itself drops blanks (RFC 9110, section 5.5), and frameworks trim all that
//!   Unicode calls white space, and U+FEFF (Python's `str.strip`, JavaScript's `trim`, Java's `strip`).
//! - A text that an array or an object would be written as: `ops,sre` is two texts, `["a,b"]` is one in an
//!   array. `Doe, John` is carried, because no array of texts is written with a blank after the comma.
//!
//! Text that is not ASCII stays UTF-8, which is opaque to HTTP (`obs-text`); a server that reads it as
//! Latin-1 reads another text, but never one text for two.
//!
//! Types do not show in a header: the number `1`, the text `1` and an array of one text `1` are one value.
//! Each claim has one type at its issuer; `sub` and the other registered texts have to be texts.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Why a claim cannot be the value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimValueError {
    ControlCharacter,
    OuterWhiteSpace,
    LikeAnArray,
    LikeJson,
}

impl ClaimValueError {
    /// For the log.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::ControlCharacter => "a control character",
            Self::OuterWhiteSpace => "white space at an end",
            Self::LikeAnArray => "a text that reads as a list",
            Self::LikeJson => "a text that reads as JSON",
        }
    }
}

/// The value of a header for this claim; none if the claim says nothing.
pub(super) fn of(claim: &Value) -> Result<Option<Bytes>, ClaimValueError> {
    let text: Cow<'_, str> = match claim {
        Value::Null => return Ok(None),
        Value::String(text) => {
            check_is_like_no_other(text)?;
            text.into()
        }
        Value::Array(items) if items.is_empty() => return Ok(None),
        Value::Array(items) => joined(items).unwrap_or_else(|| claim.to_string()).into(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => claim.to_string().into(),
    };
    if text.chars().any(char::is_control) {
        return Err(ClaimValueError::ControlCharacter);
    }
    if text.starts_with(is_trimmed) || text.ends_with(is_trimmed) {
        return Err(ClaimValueError::OuterWhiteSpace);
    }
    Ok((!text.is_empty()).then(|| Bytes::copy_from_slice(text.as_bytes())))
}

/// Whether some framework trims the character.
fn is_trimmed(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

fn check_is_like_no_other(text: &str) -> Result<(), ClaimValueError> {
    if text.contains(',') && text.split(',').all(is_plain) {
        return Err(ClaimValueError::LikeAnArray);
    }
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    match text.starts_with(['[', '{']) && is_json() {
        true => Err(ClaimValueError::LikeJson),
        false => Ok(()),
    }
}

/// The texts of an array with commas between, if they can be told apart then.
fn joined(items: &[Value]) -> Option<String> {
    let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    let texts = texts.filter(|texts| texts.iter().copied().all(is_plain))?;
    Some(texts.join(","))
}

/// Whether a text may stand in a list with commas.
fn is_plain(text: &str) -> bool {
    text.starts_with(char::is_alphanumeric) && !text.contains(',') && !text.ends_with(is_trimmed)
}
