//! The value of a header.
//!
//! A header may have several lines, under several [names](super::header_name). Servers take the first line
//! (Starlette, Go) or the last, or join all lines with `,` (Node, WSGI). So the value is certain only if all lines
//! are equal and one of them has the exact name.
//!
//! | spelling | why it is equivalent | value here |
//! |---|---|---|
//! | `a` between whitespace, `0x85` or `0xa0` | wsgiref strips these bytes | `a` |
//! | `a,a`, `a, a`, `,a` | two equal lines become this when joined | `a` |
//! | `a , b` | list parsers read `a,b` (RFC 9110, section 5.6.1) | `a,b` |
//!
//! Apart from that, the value is the bytes of the line: nothing is decoded, and letter case matters. A list in one
//! line is one value.

use std::borrow::Cow;

use super::reading::{Occurrences, Reading};
pub use super::value::trim;
use super::value::trim_ascii;
use crate::headers::HeaderMap;

/// The value of the header with this lower-case name.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Reading<'a> {
    let mut occurrences = Occurrences::new();
    for (own, line) in headers.spellings(name) {
        occurrences.add(canonical(line), own == name.as_bytes());
    }
    occurrences.agreed()
}

fn canonical(line: &[u8]) -> Reading<'_> {
    if trim_ascii(line).is_empty() {
        return Reading::Missing;
    }
    let value = trim(line);
    if !value.contains(&b',') && !value.is_empty() {
        return Reading::Value(value.into());
    }
    let items = || {
        let items = value.split(|byte| *byte == b',').map(trim);
        items.filter(|item| !item.is_empty())
    };
    let Some(first) = items().next() else {
        // Some servers see the commas, or whitespace of ISO 8859-1.
        return Reading::Ambiguous;
    };
    Reading::Value(match items().all(|item| item == first) {
        true => first.into(),
        false => Cow::Owned(items().collect::<Vec<_>>().join(&b',')),
    })
}
