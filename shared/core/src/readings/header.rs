//! Values of a header.
//!
//! A header may stand in several lines, and under several [names](super::header_name). Servers take the
//! first line (Starlette, Go) or the last, or join them with `,` (Node, WSGI). So there is one value only
//! where all lines are equal, and one of them has the exact name.
//!
//! | spelling | who reads it as `a` | here |
//! |---|---|---|
//! | blanks, `0x85` and `0xa0` around | wsgiref strips them | `a` |
//! | `a,a`, `a, a`, `,a` | nobody, but two equal lines become the same when joined | `a` |
//! | `a , b` | that is `a,b` to all that read lists (RFC 9110, section 5.6.1) | `a,b` |
//!
//! Else a value is its bytes: nothing is decoded, letter case counts. A list in one line is one value.

use std::borrow::Cow;

use super::header_name::is_spelling_of;
use super::reading::{Occurrences, Reading};
pub use super::value::trim;
use super::value::trim_ascii;
use crate::headers::HeaderMap;

/// The value of the header of this name, which is in lower case.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Reading<'a> {
    let mut occurrences = Occurrences::new();
    for (own, line) in headers.iter() {
        if is_spelling_of(own, name) {
            occurrences.add(canonical(line), own == name);
        }
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
        // Some servers see the commas, or blanks of ISO 8859-1.
        return Reading::Ambiguous;
    };
    Reading::Value(match items().all(|item| item == first) {
        true => first.into(),
        false => Cow::Owned(items().collect::<Vec<_>>().join(&b',')),
    })
}
