//! What is like a token in a place where a token may be, and is not found there.
//!
//! A request is *without a token* only if every server would agree. A rule with `allow_missing` would
//! otherwise let through a token that nobody verified, and a server that reads more leniently would find
//! it. What is like a token is refused where a request without one would pass, and beside a token, where
//! the next server could take it for that. Where a token is required, it is as missing as before:
//!
//! - **Header**: another spelling of its name ([`is_spelling_of`]) with any value. With a prefix such as
//!   `Bearer `, a line that does not begin so, unless it is plainly another credential: empty, or a scheme
//!   (RFC 9110, section 11.4) with a blank after it, in visible ASCII, without the prefix's word anywhere,
//!   and without a JWT. So `Basic dXNlcjpwYXNz` is no token, but `Bearer:x`, `Basic x, Bearer y`,
//!   `Bearer<tab>x`, `Token eyJ….….…` and a bare `eyJ….….…` are like one.
//! - **Cookie**: a cookie of this name behind a comma or a blank, where Python's `http.cookies`, old
//!   Tomcats and RFC 2109 begin another; a name that is this one when decoded or unquoted (PHP), up to
//!   NUL, or with `.`, blank and `[` as `_` (PHP).
//! - **Query**: a parameter of this name behind `;` (WHATWG's URL did, as did Python before 3.10); a name
//!   that is this one as for cookies, or decoded twice, or before `[` (PHP and Rack make arrays).
//! - A cookie or parameter whose name differs by letter case (ASP.NET) or `-` and `_` is often another
//!   one by right. It is like a token if its value is like a JWT.
//!
//! An empty value is no token, in any spelling.

use std::borrow::Cow;

use crate::headers::HeaderMap;
use crate::key::{cookie, query};
use crate::readings::is_spelling_of;

/// Whether a header is there under another spelling of its name.
pub(super) fn in_other_headers(headers: &HeaderMap, name: &str) -> bool {
    headers
        .spellings(name)
        .any(|(other, value)| other != name.as_bytes() && !value.trim_ascii().is_empty())
}

/// Whether a line that does not begin with the prefix is like a token. The prefix is in lower case.
pub(super) fn in_line(line: &[u8], prefix: &str) -> bool {
    let line = line.trim_ascii();
    if line.is_empty() {
        return false;
    }
    let is_text = line.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let scheme = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_scheme = str::from_utf8(scheme).is_ok_and(crate::headers::is_token);
    let word = prefix.trim_matches(|end: char| !end.is_ascii_alphanumeric());
    let decoded = decoded(line);
    !is_text || !is_scheme || has_word(line, word) || has_word(&decoded, word) || has_jwt(&decoded)
}

/// Whether there is a cookie that some server may take for the one of this name, beside those that
/// [`cookie::values`] finds.
pub(super) fn in_cookies(headers: &HeaderMap, name: &str) -> bool {
    let mut cookies = headers
        .get_all("cookie")
        .flat_map(|line| line.split(|byte| *byte == b';'));
    cookies.any(|cookie| {
        let is_found = cookie::is_named(cookie, name);
        let pieces = cookie
            .split(|byte| matches!(byte, b',' | b' ' | b'\t'))
            .filter(|piece| !piece.is_empty());
        is_any_like(pieces, is_found, name)
    })
}

/// Whether there is a query parameter that some server may take for the one of this name, beside
/// those that [`query::values`] finds.
pub(super) fn in_query(headers: &HeaderMap, name: &str) -> bool {
    let target = headers.get(":path").map_or(&b""[..], |path| &path[..]);
    let mut parameters = target
        .splitn(2, |byte| *byte == b'?')
        .skip(1)
        .flat_map(|query| query.split(|byte| *byte == b'&'));
    parameters.any(|parameter| {
        let is_found = query::is_named(parameter, name);
        is_any_like(parameter.split(|byte| *byte == b';'), is_found, name)
    })
}

/// Whether one of the pieces, of which the first may be found already, is like `name=token`.
fn is_any_like<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    is_first_found: bool,
    name: &str,
) -> bool {
    let mut unseen = pieces.skip(usize::from(is_first_found));
    unseen.any(|piece| {
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let own = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        let is_blank = |byte: &u8| matches!(byte, b'"' | b' ' | b'\t');
        !value.iter().all(is_blank) && (is_read_as(own, name) || is_akin(own, value, name))
    })
}

/// Whether some server reads this as the name.
fn is_read_as(own: &[u8], name: &str) -> bool {
    let once = decoded(own);
    let is_name = |text: &[u8]| {
        let text = text.trim_ascii_start();
        let unquoted = text
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        let text = unquoted.unwrap_or(text);
        let upto = |end: u8| text.split(|byte| *byte == end).next().unwrap_or_default();
        [text, upto(0), upto(b'[')]
            .iter()
            .any(|text| mangled(text).eq(mangled(name.as_bytes())))
    };
    is_name(own) || is_name(&once) || is_name(&decoded(&once))
}

/// The bytes of a name as PHP makes a variable of it.
fn mangled(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    name.iter().map(|byte| match byte {
        b'.' | b' ' | b'[' => b'_',
        byte => *byte,
    })
}

/// Whether the name differs by what some servers overlook, and the value is like a JWT.
fn is_akin(own: &[u8], value: &[u8], name: &str) -> bool {
    is_spelling_of(&decoded(own), name) && has_jwt(&decoded(value))
}

/// Whether the word stands there by itself; letter case does not count.
fn has_word(line: &[u8], word: &str) -> bool {
    let word = word.as_bytes();
    if word.is_empty() {
        return true;
    }
    let is_apart = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphanumeric);
    line.windows(word.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| line.get(before));
        window.eq_ignore_ascii_case(word) && is_apart(before) && is_apart(line.get(at + word.len()))
    })
}

/// How a JSON object begins in base64url: `{` and a quote, blank, line feed, tab or carriage return.
const OBJECTS: [&[u8]; 9] = [
    b"eyI", b"eyJ", b"eyK", b"eyL", b"eyA", b"eyB", b"ewo", b"ewk", b"ew0",
];

/// Whether there is something in the shape of a JWT: three parts with dots between, of which the first is
/// a JSON object.
fn has_jwt(text: &[u8]) -> bool {
    let is_of_jwt = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut runs = text.split(|byte| !is_of_jwt(*byte));
    runs.any(|run| {
        let mut parts = run.split(|byte| *byte == b'.');
        let is_object = |part: &[u8]| OBJECTS.iter().any(|object| part.starts_with(object));
        parts.any(is_object) && parts.count() >= 2
    })
}

/// The text with percent-encodings decoded, and `+` as a blank.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.into();
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        let pair = match (first, others) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        let byte = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        rest = match byte {
            Some(_) => others.get(2..).unwrap_or_default(),
            None => others,
        };
        decoded.push(match (byte, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, first) => *first,
        });
    }
    decoded.into()
}
