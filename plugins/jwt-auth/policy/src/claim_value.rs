//! The header value of a claim.
//!
//! | claim | value of the header |
//! |---|---|
//! | string | the string |
//! | number, boolean | as in JSON |
//! | array of strings | joined with commas, if each string begins with a letter or digit, has no comma and does not end with white space. Otherwise the array as JSON, which begins with `[`. |
//! | other array, object | as JSON |
//! | null, absent, empty | no header |
//!
//! The value is the claim, byte by byte: nothing is replaced, trimmed or left out, so that two subjects never become
//! one. If a server on the way could change the value, or read it as another claim, the request is refused
//! ([`ClaimValueError`]):
//!
//! - Control characters (C0, DEL, and C1 with U+0085). Envoy and HTTP libraries refuse some of them, replace others,
//!   and end the value at NUL (RFC 9110, section 5.5).
//! - Leading or trailing white space. HTTP itself drops blanks (RFC 9110, section 5.5), and frameworks trim everything
//!   that Unicode calls white space, and U+FEFF (Python's `str.strip`, JavaScript's `trim`, Java's `strip`).
//! - A string that reads as an array or an object: `ops,sre` reads as two strings, `["a,b"]` as an array with one.
//!   `Doe, John` is allowed, because no joined array has a blank after a comma.
//!
//! Text that is not ASCII stays UTF-8, which is opaque to HTTP (`obs-text`). A server that reads it as Latin-1 reads
//! another text, but never the same text for two different ones.
//!
//! Types are not visible in a header: the number `1`, the string `1` and an array with the one string `1` give the
//! same value. Each issuer uses one type for each claim; `sub` and the other registered string claims must be strings.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The reason why a header cannot carry a claim.
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
            Self::OuterWhiteSpace => "leading or trailing white space",
            Self::LikeAnArray => "a string that reads as a list",
            Self::LikeJson => "a string that reads as JSON",
        }
    }
}

/// The header value for this claim; `None` if the claim is empty.
pub(super) fn of(claim: &Value) -> Result<Option<Bytes>, ClaimValueError> {
    let text: Cow<'_, str> = match claim {
        Value::Null => return Ok(None),
        Value::String(text) => {
            check_reads_as_string(text)?;
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

/// Whether some frameworks trim the character.
fn is_trimmed(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

fn check_reads_as_string(text: &str) -> Result<(), ClaimValueError> {
    if text.contains(',') && text.split(',').all(is_plain) {
        return Err(ClaimValueError::LikeAnArray);
    }
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    match text.starts_with(['[', '{']) && is_json() {
        true => Err(ClaimValueError::LikeJson),
        false => Ok(()),
    }
}

/// The strings of an array, joined with commas, if they can be separated again.
fn joined(items: &[Value]) -> Option<String> {
    let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    let texts = texts.filter(|texts| texts.iter().copied().all(is_plain))?;
    Some(texts.join(","))
}

/// Whether a string may be an item of a list with commas.
fn is_plain(text: &str) -> bool {
    text.starts_with(char::is_alphanumeric) && !text.contains(',') && !text.ends_with(is_trimmed)
}
