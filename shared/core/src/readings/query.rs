//! The parameters in the query of a request.
//!
//! # Occurrences
//!
//! The query begins behind the first `?` of the `:path`; `&` separates its parameters. A name may occur several
//! times; servers take the first occurrence (Flask, servlets, Go) or the last (PHP, Rails), make a list (Express's
//! `simple` parser) or join them (ASP.NET). If all occurrences have one value, that is the value; otherwise it is
//! ambiguous.
//!
//! Only some servers separate parameters at these bytes. If one of them occurs next to the name, the value is
//! ambiguous, because its end is unknown:
//!
//! | byte | separates parameters in |
//! |---|---|
//! | `;` | Python's `parse_qs` before 3.9.2 (CVE-2021-23336), Rack before 3.1, Perl's CGI.pm, Go before 1.17, HTML 4 (appendix B.2.2) |
//! | `#` | Express (`parseurl`); WSGI servers keep it in the value. Envoy refuses it by default |
//!
//! # Names and values
//!
//! A name is decoded once before it is compared, as every form parser does. A parameter whose [name](super::name)
//! only some servers read as the wanted one makes the value ambiguous, unless it has the same value. Values are in
//! [canonical form](super::value). A parameter without `=` is empty.
//!
//! Parameters of the body, path parameters, and parameters inside other parameters are not considered.

use std::borrow::Cow;

use super::name::{Named, compare, split_at_equals};
use super::percent::{Unit, Units};
use super::reading::{Occurrences, Reading};
use super::value::{Escapes, canonical};
use crate::headers::HeaderMap;

/// The value of the parameter of this name.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Reading<'a> {
    let mut occurrences = Occurrences::new();
    for parameter in parameters(headers) {
        if parameter.iter().any(|byte| is_divider(*byte)) {
            let mut parts = parameter.split(|byte| is_divider(*byte));
            if parts.any(|part| is_read_as(part, name)) {
                occurrences.add(Reading::Ambiguous, false);
            }
            continue;
        }
        let (own, value) = split_at_equals(parameter);
        match compare(own, name, Escapes::Query) {
            Named::No => {}
            named => occurrences.add(canonical(value, Escapes::Query), named == Named::Exactly),
        }
    }
    occurrences.agreed()
}

/// Whether some server reads the parameter between two ampersands as one of this name.
pub fn is_read_as(parameter: &[u8], name: &str) -> bool {
    let (own, _) = split_at_equals(parameter);
    compare(own, name, Escapes::Query) != Named::No
}

/// The parameters of the query, split at ampersands.
fn parameters(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let path = headers.value(":path");
    let query = path.and_then(|path| path.splitn(2, |byte| *byte == b'?').nth(1));
    query
        .into_iter()
        .flat_map(|query| query.split(|byte| *byte == b'&'))
}

/// Whether only some servers end a parameter at this byte.
fn is_divider(byte: u8) -> bool {
    matches!(byte, b';' | b'#')
}

/// The decoded values of all parameters of this name in the query of the `:path`.
///
/// The format is that of forms: `&` separates parameters, `+` is a space, and `%61` is `a`, in names too. Without
/// decoding, each value would have many spellings, and each spelling its own count. A `%` that starts no encoding
/// stays as it is.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let path = headers.value(":path");
    let path = path.and_then(|path| path.split(|byte| *byte == b'#').next());
    let query = path.and_then(|path| path.splitn(2, |byte| *byte == b'?').nth(1));
    let parameters = query
        .into_iter()
        .flat_map(|query| query.split(|byte| *byte == b'&'));
    parameters
        .filter(move |parameter| is_named(parameter, name))
        .map(|parameter| {
            let (_, value) = split_at_equals(parameter);
            match value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
                true => Cow::Owned(decode_once(value).collect()),
                false => Cow::Borrowed(value),
            }
        })
}

/// Whether the parameter between two ampersands has this name.
pub fn is_named(parameter: &[u8], name: &str) -> bool {
    let (own, _) = split_at_equals(parameter);
    decode_once(own).eq(name.bytes())
}

/// Decodes a text once, as form parsers do.
pub(super) fn decode_once(text: &[u8]) -> impl Iterator<Item = u8> {
    Units::of(text).map(|unit| match unit {
        Unit::Plain(b'+') => b' ',
        unit => unit.byte(),
    })
}
