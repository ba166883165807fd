//! Names of query parameters and cookies.
//!
//! A name has spellings, too. Those of a query parameter that every parser of forms undoes (`k%65y`) are
//! the name itself. These are names that only some servers read as another one:
//!
//! | spelling of `key` | who reads it so |
//! |---|---|
//! | `KEY` | ASP.NET (`Request.Query`, `Request.Cookies` compare without letter case) |
//! | `key[]`, `key[0]`, `key[x]`, `[key]` | PHP, Rails (Rack's nested query), Express's extended parser (qs) |
//! | ` key`, `key` and a NUL | PHP (`php_register_variable_ex`) |
//! | `a.b`, `a b`, `a[b` for `a_b` | PHP |
//! | `k%65y` (cookie) | PHP before 7.2.34, 7.3.23 and 7.4.11 (CVE-2020-7070), Rack before 2.2.3 (CVE-2020-8184) |
//! | `k%2565y` | whatever decodes twice |
//! | `?key` | servers that take the last `?` for the beginning of the query |

use super::query::decode_once;
use super::value::{Escapes, decode, trim};

/// Whether a name is the one that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    No,
    /// To some servers.
    Possibly,
    Exactly,
}

/// The name and the value of a parameter or a cookie. The value is empty without a `=`.
pub(super) fn split_at_equals(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}

/// Compares a name as it was sent with the one that is looked for.
pub(super) fn compare(raw: &[u8], wanted: &str, escapes: Escapes) -> Named {
    let wanted = wanted.as_bytes();
    let raw = raw.trim_ascii();
    if raw == wanted {
        return Named::Exactly;
    }
    if raw.iter().all(|byte| is_plain(*byte)) {
        return match is_folded(raw, wanted) {
            true => Named::Possibly,
            false => Named::No,
        };
    }
    if escapes == Escapes::Query && decode_once(raw).eq(wanted.iter().copied()) {
        return Named::Exactly;
    }
    // Of a name in brackets that is looked for itself, other members are other names.
    let is_nested = wanted.contains(&b'[');
    let decoded = decode(raw, escapes);
    let read = match is_nested {
        true => trim(&decoded),
        false => outermost(&decoded),
    };
    // A bracket that never closes is an underscore to PHP.
    let is_open = !decoded.contains(&b']');
    match is_folded(read, wanted) || (is_open && is_folded(trim(&decoded), wanted)) {
        true => Named::Possibly,
        false => Named::No,
    }
}

/// Bytes of which [`is_folded`] knows all readings.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$')
}

/// Whether the names are equal to a server without letter case that makes `_` of `.`, `[` and blanks.
fn is_folded(read: &[u8], wanted: &[u8]) -> bool {
    let fold = |byte: &u8| match byte {
        b'.' | b' ' | b'[' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    read.len() == wanted.len() && read.iter().map(fold).eq(wanted.iter().map(fold))
}

/// The name of the list or table that a decoded name is in: `key` of `key[]`, `[key]`, `?key`.
fn outermost(decoded: &[u8]) -> &[u8] {
    let mut parts = decoded.rsplit(|byte| *byte == b'?');
    let mut parts = parts.next().unwrap_or_default().split(|byte| *byte == 0);
    let name = trim(parts.next().unwrap_or_default());
    let name = name.strip_prefix(b"[").unwrap_or(name);
    let mut parts = name.split(|byte| matches!(byte, b'[' | b']'));
    parts.next().unwrap_or_default()
}
