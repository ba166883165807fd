//! Parameters in the query of a request.
//!
//! # Occurrences
//!
//! The query is what follows the first `?` of the `:path`, and `&` divides it. Parameters of one name may
//! stand there several times; servers take the first (Flask, Servlets, Go), the last (Express's `simple`
//! parser makes a list, PHP and Rails take the last), or join them (ASP.NET). If all are equal, that is
//! the value; else it is ambiguous.
//!
//! Other bytes divide parameters for some servers only. With one of them beside the name, the value is
//! ambiguous, because its end is unknown:
//!
//! | byte | who divides there |
//! |---|---|
//! | `;` | Python's `parse_qs` before 3.9.2 (CVE-2021-23336), Rack before 3.1, Perl's CGI.pm, Go before 1.17, HTML 4 (appendix B.2.2) |
//! | `#` | Express (`parseurl`); WSGI servers leave it in the value. Envoy refuses it by default |
//!
//! # Names and values
//!
//! A name is decoded once before it is compared, as every parser of forms does. A [name](super::name) that
//! only some servers read as the one that is looked for makes the value ambiguous, unless it has the
//! same value. The value is in its [canonical form](super::value). A parameter without `=` is empty.
//!
//! Not read: a parameter of the body, a path parameter, one that another parameter contains.

use std::borrow::Cow;

use super::name::{Named, compare};
use super::percent;
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

/// Whether some server takes a parameter, as it stands between two ampersands, for one of this name.
pub fn is_read_as(parameter: &[u8], name: &str) -> bool {
    let (own, _) = split_at_equals(parameter);
    compare(own, name, Escapes::Query) != Named::No
}

/// The parameters of the query, as they stand between two ampersands.
fn parameters(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let path = headers.get(":path");
    let query = path.and_then(|path| path.splitn(2, |byte| *byte == b'?').nth(1));
    query
        .into_iter()
        .flat_map(|query| query.split(|byte| *byte == b'&'))
}

/// Whether a parameter ends here for some servers only.
fn is_divider(byte: u8) -> bool {
    matches!(byte, b';' | b'#')
}

fn split_at_equals(parameter: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = parameter.splitn(2, |byte| *byte == b'=');
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}

/// The values of the parameters of this name in the query of the `:path`, decoded.
///
/// Read as forms are: parameters are divided by `&`, `+` is a blank, `%61` is `a`, in names too. Without
/// decoding, each value would have many spellings and each spelling a count of its own. A `%` that does
/// not start an encoding stays.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let path = headers.get(":path");
    let path = path.and_then(|path| path.split(|byte| *byte == b'#').next());
    let query = path.and_then(|path| path.splitn(2, |byte| *byte == b'?').nth(1));
    let parameters = query
        .into_iter()
        .flat_map(|query| query.split(|byte| *byte == b'&'));
    parameters
        .filter(move |parameter| is_named(parameter, name))
        .map(|parameter| {
            let value = parameter.splitn(2, |byte| *byte == b'=').nth(1);
            let value = value.unwrap_or_default();
            match value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
                true => Cow::Owned(decode_once(value).collect()),
                false => Cow::Borrowed(value),
            }
        })
}

/// Whether a parameter, as it stands between two ampersands, has this name.
pub fn is_named(parameter: &[u8], name: &str) -> bool {
    let own = parameter.split(|byte| *byte == b'=').next();
    decode_once(own.unwrap_or_default()).eq(name.bytes())
}

/// Decodes a text once, as forms are.
pub(super) fn decode_once(mut text: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (first, rest) = text.split_first()?;
        let (byte, rest) = match first {
            b'+' => (b' ', rest),
            b'%' => percent::decode(rest).unwrap_or((b'%', rest)),
            byte => (*byte, rest),
        };
        text = rest;
        Some(byte)
    })
}
