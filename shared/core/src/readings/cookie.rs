//! The cookies of a request.
//!
//! # Occurrences
//!
//! Cookies are separated by `;`, in one header line or in several (HTTP/2 splits them, Envoy joins them again). A
//! name may occur several times; servers take the first occurrence (Express) or the last (Starlette,
//! `http.cookies`). If all occurrences have one value, that is the value; otherwise it is ambiguous.
//!
//! # Values
//!
//! | spelling | read as `abc` by | value here |
//! |---|---|---|
//! | `"abc"`, surrounding whitespace | RFC 6265 servers | `abc` |
//! | `%61bc` | Express (`cookie`), PHP, Rack | `abc`, see the [canonical form](super::value) |
//! | `"\141bc"`, `"a\bc"` | `http.cookies`, Werkzeug, Starlette, Django, aiohttp | `abc` |
//! | `j:"abc"` | Express (`cookie-parser`), as JSON | ambiguous |
//! | `abc,x` | Rack 1, Tomcat's and Jetty's RFC 2965 parsers, to which `,` separates cookies | ambiguous |
//! | `abc x`, `abc secure` | `http.cookies`, to which a space separates cookies | ambiguous |
//! | `"abc` and any continuation | `cookie` before 0.4 drops the last byte; with `"abc;x"`, Werkzeug and `http.cookies` read `abc;x` | ambiguous |
//!
//! The value also becomes ambiguous through a cookie whose different [name](super::name) some servers read as this
//! one, or a cookie that contains one of this name (`x=1,session=abc`, `x=1 session=abc`, `=session=abc`, which is
//! how browsers send a cookie without a name), unless it has the same value. A cookie without `=` is empty.

use super::name::{Named, compare, split_at_equals};
use super::reading::{Occurrences, Reading};
use super::value::{Escapes, canonical, trim, trim_ascii};
use crate::headers::HeaderMap;

/// The prefix of a value that `cookie-parser` reads as JSON.
const JSON: &[u8] = b"j:";

/// The value of the cookie of this name.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Reading<'a> {
    let mut occurrences = Occurrences::new();
    for line in headers.values("cookie") {
        for cookie in line.split(|byte| *byte == b';') {
            let (own, value) = split_at_equals(cookie);
            match compare(own, name, Escapes::Cookie) {
                Named::No if has_within(cookie, name) => occurrences.add(Reading::Ambiguous, false),
                Named::No => {}
                named => occurrences.add(read_value(value), named == Named::Exactly),
            }
        }
    }
    occurrences.agreed()
}

/// Whether some server reads a cookie, or a [part](parts) of one, as a cookie of this name.
pub fn is_read_as(cookie: &[u8], name: &str) -> bool {
    let (own, _) = split_at_equals(cookie);
    compare(own, name, Escapes::Cookie) != Named::No
}

fn read_value(raw: &[u8]) -> Reading<'_> {
    let value = trim_ascii(raw);
    let within = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let has_end = match within {
        // Between quotes, whitespace is ordinary, unless the quotes end before it.
        Some(within) => {
            within.contains(&b',')
                || within.contains(&b'"') && within.iter().any(|byte| is_divider(*byte))
        }
        None => {
            value.starts_with(b"\"")
                || value.ends_with(b"\"")
                || value.iter().any(|byte| is_divider(*byte))
        }
    };
    if has_end {
        return Reading::Ambiguous;
    }
    match canonical(value, Escapes::Cookie) {
        Reading::Value(value) if value.starts_with(JSON) => Reading::Ambiguous,
        value => value,
    }
}

/// Whether a server that also separates cookies at other bytes finds one of this name inside this one.
fn has_within(cookie: &[u8], name: &str) -> bool {
    let cookie = trim(cookie);
    if !cookie.starts_with(b"=") && !cookie.iter().any(|byte| is_divider(*byte)) {
        return false;
    }
    parts(cookie).any(|part| {
        let (own, _) = split_at_equals(part);
        compare(own, name, Escapes::Cookie) != Named::No
    })
}

/// The parts into which some servers split a cookie between two semicolons, because they also separate cookies at
/// other bytes. Each part begins with a name.
pub fn parts(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = cookie.split(|byte| is_divider(*byte));
    parts.filter_map(|part| {
        let start = part.iter().position(|byte| is_token(*byte))?;
        part.get(start..)
    })
}

/// Whether only some servers end a cookie at this byte.
fn is_divider(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b',' | 0x7f)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~[".contains(&byte)
}

/// The values of all cookies of this name, without surrounding whitespace and double quotes.
///
/// Cookies may be in one header line or in several. Quotes are removed because many servers remove them; otherwise
/// each cookie would have a second spelling.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.values("cookie");
    let cookies = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    cookies
        .filter(move |cookie| is_named(cookie, name))
        .map(|cookie| {
            let (_, value) = split_at_equals(cookie);
            let value = value.trim_ascii();
            let unquoted = value
                .strip_prefix(b"\"")
                .and_then(|rest| rest.strip_suffix(b"\""));
            unquoted.unwrap_or(value)
        })
}

/// Whether the cookie between two semicolons has this name.
pub fn is_named(cookie: &[u8], name: &str) -> bool {
    split_at_equals(cookie).0.trim_ascii() == name.as_bytes()
}
