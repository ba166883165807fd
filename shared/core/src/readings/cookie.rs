//! Cookies of a request.
//!
//! # Occurrences
//!
//! Cookies come in one line or in several (HTTP/2 divides them, Envoy joins them again), divided by `;`.
//! A cookie of one name may stand there several times; servers take the first (Express) or the last
//! (Starlette, `http.cookies`). If all are equal, that is the value; else it is ambiguous.
//!
//! # Readings
//!
//! | spelling | who reads it as `abc` | here |
//! |---|---|---|
//! | `"abc"`, blanks around | RFC 6265 servers | `abc` |
//! | `%61bc` | Express (`cookie`), PHP, Rack | `abc`, see the [canonical form](super::value) |
//! | `"\141bc"`, `"a\bc"` | `http.cookies`, Werkzeug, Starlette, Django, aiohttp | `abc` |
//! | `j:"abc"` | Express (`cookie-parser`), as JSON | ambiguous |
//! | `abc,x` | Rack 1, Tomcat's and Jetty's RFC 2965 parsers: `,` divides cookies | ambiguous |
//! | `abc x`, `abc secure` | `http.cookies`: a blank divides cookies | ambiguous |
//! | `"abc` and what follows | `cookie` before 0.4 drops the last byte; with `"abc;x"`, Werkzeug and `http.cookies` read `abc;x` | ambiguous |
//!
//! A cookie of another [name](super::name) that some servers read as this one, or that has one of this
//! name within itself (`x=1,session=abc`, `x=1 session=abc`, `=session=abc`, which is how browsers send a
//! cookie without a name), makes the value ambiguous, unless it has the same value. A cookie without `=`
//! is empty.

use super::name::{Named, compare};
use super::reading::{Occurrences, Reading};
use super::value::{Escapes, canonical, trim, trim_ascii};
use crate::headers::HeaderMap;

/// How a cookie begins that `cookie-parser` reads as JSON.
const JSON: &[u8] = b"j:";

/// The value of the cookie of this name.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Reading<'a> {
    let mut occurrences = Occurrences::new();
    for line in headers.get_all("cookie") {
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

/// Whether some server takes a cookie, or a [part](parts) of one, for one of this name.
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
        // Between quotes blanks are ordinary, unless the quotes end before.
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

/// Whether a server that divides cookies elsewhere, too, finds one of this name.
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

/// What a server that divides cookies elsewhere, too, makes of one that stands between two semicolons.
/// Each part begins with a name.
pub fn parts(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = cookie.split(|byte| is_divider(*byte));
    parts.filter_map(|part| {
        let start = part.iter().position(|byte| is_token(*byte))?;
        part.get(start..)
    })
}

/// Whether a cookie ends here for some servers only.
fn is_divider(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b',' | 0x7f)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~[".contains(&byte)
}

/// The values of the cookies of this name, without blanks and double quotes around them.
///
/// Cookies may come in one line or in several. Quotes do not count, because many servers do not see
/// them: with them, each cookie would have a second spelling.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all("cookie");
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

/// Whether a cookie, as it stands between two semicolons, has this name.
pub fn is_named(cookie: &[u8], name: &str) -> bool {
    split_at_equals(cookie).0.trim_ascii() == name.as_bytes()
}

fn split_at_equals(cookie: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = cookie.splitn(2, |byte| *byte == b'=');
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}
