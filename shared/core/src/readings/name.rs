//! The names of query parameters and cookies.
//!
//! Names also have several spellings. A spelling that every form parser decodes (`k%65y` of a query parameter)
//! counts as the name itself. Only some servers read these as `key`:
//!
//! | spelling of `key` | read as `key` by |
//! |---|---|
//! | `KEY` | ASP.NET (`Request.Query`, `Request.Cookies` ignore letter case) |
//! | `key[]`, `key[0]`, `key[x]`, `[key]` | PHP, Rails (Rack's nested query), Express's extended parser (qs) |
//! | ` key`, `key` and a NUL | PHP (`php_register_variable_ex`) |
//! | `a.b`, `a b`, `a[b` for `a_b` | PHP |
//! | `k%65y` (cookie) | PHP before 7.2.34, 7.3.23 and 7.4.11 (CVE-2020-7070), Rack before 2.2.3 (CVE-2020-8184) |
//! | `k%2565y` | servers that decode twice |
//! | `?key` | servers whose query begins at the last `?` |

use super::query::decode_once;
use super::value::{Escapes, decode, trim};

/// Whether a name is the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    No,
    /// Only to some servers.
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

/// Compares a name as it was sent with the wanted one.
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
    // If the wanted name has brackets itself, other members of the same list have other names.
    let is_nested = wanted.contains(&b'[');
    let decoded = decode(raw, escapes);
    let read = match is_nested {
        true => trim(&decoded),
        false => outermost(&decoded),
    };
    // PHP replaces an unclosed bracket by an underscore.
    let is_open = !decoded.contains(&b']');
    match is_folded(read, wanted) || (is_open && is_folded(trim(&decoded), wanted)) {
        true => Named::Possibly,
        false => Named::No,
    }
}

/// Bytes whose interpretations [`is_folded`] covers completely.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$')
}

/// Whether the names are equal to a server that ignores letter case and replaces `.`, `[` and spaces by `_`.
fn is_folded(read: &[u8], wanted: &[u8]) -> bool {
    let fold = |byte: &u8| match byte {
        b'.' | b' ' | b'[' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    read.len() == wanted.len() && read.iter().map(fold).eq(wanted.iter().map(fold))
}

/// The outermost name in a decoded name: `key` in `key[]`, `[key]` and `?key`.
fn outermost(decoded: &[u8]) -> &[u8] {
    let mut parts = decoded.rsplit(|byte| *byte == b'?');
    let mut parts = parts.next().unwrap_or_default().split(|byte| *byte == 0);
    let name = trim(parts.next().unwrap_or_default());
    let name = name.strip_prefix(b"[").unwrap_or(name);
    let mut parts = name.split(|byte| matches!(byte, b'[' | b']'));
    parts.next().unwrap_or_default()
}
