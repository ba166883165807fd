//! Lookalikes: text that resembles a token, in a place where a token may be, and is not one.
//!
//! A request is *without a token* only if every server would agree. Otherwise a rule with `allow_missing` would admit
//! a token that nobody verified, and a more lenient server would find it. A lookalike is refused where a request
//! without a token would pass, and beside a token, where the next server could prefer the lookalike. Where a token is
//! required, a lookalike counts as a missing one:
//!
//! - **Header**: another spelling of its name ([`is_spelling_of`]) with any value. With a prefix such as `Bearer `, a
//!   line that begins with other text, unless it is clearly another credential: empty, or a scheme (RFC 9110, section
//!   11.4) with a blank after it, in visible ASCII, without the prefix's word anywhere, and without a JWT. So
//!   `Basic dXNlcjpwYXNz` is not a lookalike, but `Bearer:x`, `Basic x, Bearer y`, `Bearer<tab>x`, `Token eyJ….….…`
//!   and a bare `eyJ….….…` are.
//! - **Cookie**, **query**: a name that [`cookie::is_read_as`] or [`query::is_read_as`] reads as this one, also after
//!   a separator that only some servers recognise: a comma, a blank or a control character in a cookie; `;`, `#` or
//!   another `?` in a query.
//! - A cookie or parameter whose name differs by letter case (ASP.NET) or by `-` and `_` is often legitimately another
//!   one. It is a lookalike if its value resembles a JWT.
//!
//! An empty value is neither a token nor a lookalike, in any spelling.

use std::borrow::Cow;

use portcullis_core::headers::HeaderMap;
use portcullis_core::key::{cookie, query};
use portcullis_core::readings::is_spelling_of;
use portcullis_core::readings::value::{Escapes, decode};

/// Whether a header is present under another spelling of its name, among the lines of all its spellings.
pub(super) fn in_other_headers(spelled: &[(&[u8], &[u8])], name: &str) -> bool {
    spelled
        .iter()
        .any(|(other, value)| *other != name.as_bytes() && !value.trim_ascii().is_empty())
}

/// Whether a line that does not begin with the prefix is a lookalike. The prefix is in lower case.
pub(super) fn in_line(line: &[u8], prefix: &str) -> bool {
    let line = line.trim_ascii();
    if line.is_empty() {
        return false;
    }
    let is_text = line.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let scheme = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_scheme = str::from_utf8(scheme).is_ok_and(portcullis_core::headers::is_token);
    let word = prefix.trim_matches(|end: char| !end.is_ascii_alphanumeric());
    let decoded = decoded(line);
    !is_text || !is_scheme || has_word(line, word) || has_word(&decoded, word) || has_jwt(&decoded)
}

/// Whether there is a cookie that some server may read as the one of this name, in addition to those that
/// [`cookie::values`] finds.
pub(super) fn in_cookies(headers: &HeaderMap, name: &str) -> bool {
    let is_like = |piece: &[u8]| is_like(piece, name, cookie::is_read_as(piece, name));
    let mut cookies = headers
        .values("cookie")
        .flat_map(|line| line.split(|byte| *byte == b';'));
    cookies.any(|cookie| match cookie::is_named(cookie, name) {
        true => cookie::parts(cookie).skip(1).any(is_like),
        false => is_like(cookie) || cookie::parts(cookie).any(is_like),
    })
}

/// Whether there is a query parameter that some server may read as the one of this name, in addition to those that
/// [`query::values`] finds.
pub(super) fn in_query(headers: &HeaderMap, name: &str) -> bool {
    let target = headers.value(":path").unwrap_or_default();
    let end = target.iter().position(|byte| *byte == b'#');
    let (target, fragment) = target.split_at(end.unwrap_or(target.len()));
    let parameters = target
        .splitn(2, |byte| *byte == b'?')
        .skip(1)
        .flat_map(|query| query.split(|byte| *byte == b'&'));
    let unseen = parameters.flat_map(|parameter| {
        let is_found = query::is_named(parameter, name);
        let whole = Some(parameter).filter(|_| !is_found);
        whole
            .into_iter()
            .chain(pieces(parameter).skip(usize::from(is_found)))
    });
    let mut all = unseen.chain(pieces(fragment));
    all.any(|piece| is_like(piece, name, query::is_read_as(piece, name)))
}

/// The pieces between bytes that are separators for some servers only, or lie outside the query.
fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b';' | b'#' | b'?' | b'&'))
}

/// Whether `name=value` is a lookalike. `is_read_as` says whether some server reads the name as this one.
fn is_like(piece: &[u8], name: &str, is_read_as: bool) -> bool {
    let mut halves = piece.splitn(2, |byte| *byte == b'=');
    let own = halves.next().unwrap_or_default().trim_ascii();
    let value = halves.next().unwrap_or_default();
    let is_blank = |byte: &u8| matches!(byte, b'"' | b' ' | b'\t');
    if value.iter().all(is_blank) {
        return false;
    }
    let is_other_by_right = own.eq_ignore_ascii_case(name.as_bytes()) && own != name.as_bytes();
    let is_akin = || is_spelling_of(&decoded(own), name) && has_jwt(&decoded(value));
    (is_read_as && !is_other_by_right) || is_akin()
}

/// Whether the line has the word, separated from other letters and digits; letter case does not matter.
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

/// The beginnings of a JSON object in base64url: `{` and a quote, blank, line feed, tab or carriage return.
const OBJECTS: [&[u8]; 9] = [
    b"eyI", b"eyJ", b"eyK", b"eyL", b"eyA", b"eyB", b"ewo", b"ewk", b"ew0",
];

/// Whether the text contains the shape of a JWT: three parts separated by dots, the first of them a JSON object.
fn has_jwt(text: &[u8]) -> bool {
    let is_of_jwt = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut runs = text.split(|byte| !is_of_jwt(*byte));
    runs.any(|run| {
        let mut parts = run.split(|byte| *byte == b'.');
        let is_object = |part: &[u8]| OBJECTS.iter().any(|object| part.starts_with(object));
        parts.any(is_object) && parts.count() >= 2
    })
}

/// The text with percent-encodings decoded repeatedly, and `+` as a blank.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    match text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        true => Cow::Owned(decode(text, Escapes::Query)),
        false => text.into(),
    }
}
