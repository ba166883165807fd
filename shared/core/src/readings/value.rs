//! The canonical form of a value, which all its spellings share.
//!
//! # Guarantee
//!
//! If *one* server reads two spellings as the same value, both have the same canonical form, or at least one is
//! [ambiguous](Reading::Ambiguous). So by varying the spelling of its value, a client gets at most one bucket in
//! addition to its own: the one that all ambiguous requests share.
//!
//! # Full decoding
//!
//! Servers decode a value differently: once, twice, or not at all if an encoding is malformed (Express falls back to
//! the raw text). Two spellings that are one value to one server may be two values to another. The canonical form
//! must not separate spellings that any server merges, so it is the **most decoded** form: it repeats these steps
//! until none applies.
//!
//! | step | taken by |
//! |---|---|
//! | `%61` → `a` | all servers; twice where an application decodes what its framework has decoded |
//! | `%u0061` → `a` | ASP, ASP.NET (`HttpUtility.UrlDecode`), JavaScript's `unescape` |
//! | `+` → space | forms (WHATWG URL); cookies: PHP before 7.4.3, Rack, Go's `QueryUnescape` |
//! | `\141` → `a` (cookie) | Python's `http.cookies`, Werkzeug, Starlette, Django |
//! | `\"` and `"` → nothing (cookie) | surrounding quotes are syntax (RFC 6265); inner quotes may be escaped |
//!
//! The first four steps rewrite texts that never overlap (`%` starts none of the others, and neither does a
//! hexadecimal digit). So their order does not matter, and a server that takes only some of them produces a text
//! with the same canonical form. One scan with a stack is enough: it pushes each byte, and takes a step as soon as
//! the end of the stack allows it. A step shortens the text, so the cost is linear for any nesting.
//!
//! Other steps do overlap: Python drops a `\` before a byte, and `\%3141` becomes `\141` if decoded first, but
//! `%3141` if unescaped first. If the two orders lead to different canonical forms, the value is ambiguous.
//!
//! # Merging is safe
//!
//! The canonical form also merges values that no server merges: `a+b` and `a b`, `%2561` and `a`, `"a"b` and `ab`.
//! To reach the bucket of another client this way, a client must know that client's value, and then it could send
//! the value itself. Values of legitimate clients (random ids, base64, percent-encoded JSON) differ in more than
//! their encoding, so each client has its own bucket. Separating values that a server merges is never safe.
//!
//! # Whitespace and invalid UTF-8
//!
//! - Leading and trailing whitespace and control characters are removed: HTTP allows them, and servers strip them.
//! - A sequence of bytes that are not UTF-8 becomes one U+FFFD, whatever its length: Flask, Starlette and Express's
//!   simple parser read `%ff` and `%fe` as one value.
//! - These values are ambiguous: a NUL inside, where C ends a text; a byte in an overlong encoding (`%c1%a1`), which
//!   lenient decoders read as `a` and strict ones as U+FFFD; an unencoded `0x85` or `0xa0` at either end, which is
//!   whitespace to Starlette (ISO 8859-1), and U+FFFD to strict decoders.
//!
//! A value without any of these bytes is already canonical. It is borrowed after one scan.

use std::borrow::Cow;

use super::percent::hex;
use super::reading::Reading;

/// The location of a value, which determines its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// In a query: `%61`, `+`.
    Query,
    /// In a cookie: the same, and quotes and backslashes.
    Cookie,
}

/// The canonical form of a value as it was sent.
pub fn canonical(raw: &[u8], escapes: Escapes) -> Reading<'_> {
    let raw = trim_ascii(raw);
    if raw.is_empty() {
        return Reading::Missing;
    }
    // Some servers strip the bytes at its ends; to others they are invalid UTF-8.
    if trim(raw) != raw {
        return Reading::Ambiguous;
    }
    if raw.iter().all(|byte| is_plain(*byte, escapes)) {
        return Reading::Value(raw.into());
    }
    let Some(value) = finish(decode(raw, escapes), escapes) else {
        return Reading::Ambiguous;
    };
    if escapes == Escapes::Cookie && raw.contains(&b'\\') {
        let unescaped_first = finish(decode(&unescape(raw), escapes), escapes);
        if unescaped_first.as_ref() != Some(&value) {
            return Reading::Ambiguous;
        }
    }
    let is_quotes = || escapes == Escapes::Cookie && raw == b"\"\"";
    match value.is_empty() {
        true if is_quotes() => Reading::Missing,
        // Some servers see whitespace or quotes.
        true => Reading::Ambiguous,
        false => Reading::Value(Cow::Owned(value)),
    }
}

/// Removes the leading and trailing bytes that some server strips: whitespace and control characters of ASCII and
/// ISO 8859-1.
pub fn trim(text: &[u8]) -> &[u8] {
    trim_matches(text, |byte| {
        is_ascii_blank(byte) || matches!(byte, 0x85 | 0xa0)
    })
}

/// Removes leading and trailing whitespace and control characters of ASCII.
pub(super) fn trim_ascii(text: &[u8]) -> &[u8] {
    trim_matches(text, is_ascii_blank)
}

fn trim_matches(mut text: &[u8], goes: impl Fn(u8) -> bool) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !goes(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !goes(*last) {
            break;
        }
        text = rest;
    }
    text
}

fn is_ascii_blank(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

fn is_plain(byte: u8, escapes: Escapes) -> bool {
    match byte {
        b'%' | b'+' => false,
        b'"' | b'\\' => escapes == Escapes::Query,
        b' '..=b'~' => true,
        _ => false,
    }
}

/// Takes all steps that do not overlap, until none applies.
pub fn decode(text: &[u8], escapes: Escapes) -> Vec<u8> {
    let mut stack = Vec::with_capacity(text.len());
    for byte in text {
        let mut byte = *byte;
        loop {
            match (byte, escapes) {
                (b'+', _) => stack.push(b' '),
                (b'"', Escapes::Cookie) => drop(stack.pop_if(|last| *last == b'\\')),
                (byte, _) => stack.push(byte),
            }
            let Some((length, character)) = encoded_at_end(&stack, escapes) else {
                break;
            };
            stack.truncate(stack.len() - length);
            match u8::try_from(character) {
                // The byte may complete another encoding.
                Ok(ascii) if ascii.is_ascii() || length < UNICODE => byte = ascii,
                _ => {
                    let character = char::from_u32(character.into()).unwrap_or('\u{fffd}');
                    stack.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    break;
                }
            }
        }
    }
    stack
}

/// The length of `%u0061`.
const UNICODE: usize = 6;

/// The length of the encoding at the end of the text, and the decoded byte. An encoding of length [`UNICODE`] decodes
/// to a code unit.
fn encoded_at_end(text: &[u8], escapes: Escapes) -> Option<(usize, u16)> {
    match text {
        [.., b'%', high, low] => Some((3, hex(&[*high, *low])?)),
        [.., b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']
            if escapes == Escapes::Cookie =>
        {
            let octal = |digit: &u8| u16::from(*digit & 7);
            Some((4, octal(a) * 64 + octal(b) * 8 + octal(c)))
        }
        [.., b'%', b'u' | b'U', a, b, c, d] => Some((UNICODE, hex(&[*a, *b, *c, *d])?)),
        _ => None,
    }
}

/// Unescapes backslashes as Python does: `\141` is `a`, `\x` is `x`.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut unescaped = Vec::with_capacity(text.len());
    loop {
        let (byte, rest) = match text {
            [] => return unescaped,
            [b'\\', rest @ ..] => {
                let octal = text
                    .get(..4)
                    .and_then(|digits| encoded_at_end(digits, Escapes::Cookie));
                match (octal, rest) {
                    (Some((4, byte)), [_, _, _, rest @ ..]) => (byte as u8, rest),
                    (_, [byte, rest @ ..]) => (*byte, rest),
                    (_, []) => (b'\\', rest),
                }
            }
            [byte, rest @ ..] => (*byte, rest),
        };
        unescaped.push(byte);
        text = rest;
    }
}

/// Removes the remaining backslashes of a decoded value, trims it, and makes it UTF-8. `None` if it is ambiguous.
fn finish(mut text: Vec<u8>, escapes: Escapes) -> Option<Vec<u8>> {
    if escapes == Escapes::Cookie {
        text.retain(|byte| *byte != b'\\');
    }
    let end = text.iter().rposition(|byte| !is_ascii_blank(*byte));
    text.truncate(end.map_or(0, |last| last + 1));
    let start = text.iter().position(|byte| !is_ascii_blank(*byte));
    text.drain(..start.unwrap_or(0));
    if text.contains(&0) {
        return None;
    }
    match std::str::from_utf8(&text) {
        Ok(valid) if !valid.contains('\u{fffd}') => Some(text),
        _ => with_replacements(&text),
    }
}

/// Replaces each sequence of invalid UTF-8 and U+FFFD by one U+FFFD. `None` if an encoding is overlong.
fn with_replacements(text: &[u8]) -> Option<Vec<u8>> {
    let is_overlong = |pair: &[u8]| {
        matches!(
            pair,
            [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]
        )
    };
    if text.windows(2).any(is_overlong) {
        return None;
    }
    let mut replaced = Vec::with_capacity(text.len());
    let mut is_in_run = false;
    let mut push = |character: char| {
        let is_replacement = character == '\u{fffd}';
        if !(is_replacement && is_in_run) {
            replaced.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        is_in_run = is_replacement;
    };
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(&mut push);
        if !chunk.invalid().is_empty() {
            push('\u{fffd}');
        }
    }
    Some(replaced)
}
