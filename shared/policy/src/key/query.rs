//! The value of a parameter in the query.

use std::borrow::Cow;

use super::only;
use crate::headers::HeaderMap;

/// The value of the only parameter of this name in the query of the `:path`, decoded.
///
/// Read as forms are: parameters are divided by `&`, `+` is a blank, `%61` is `a`, in names too. Without
/// decoding, each value would have many spellings and each spelling a count of its own. A `%` that does
/// not start an encoding stays.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, [u8]>> {
    let path = headers.get(":path")?.split(|byte| *byte == b'#').next()?;
    let query = path.splitn(2, |byte| *byte == b'?').nth(1)?;
    let parameters = query.split(|byte| *byte == b'&');
    let value = only(parameters.filter_map(|parameter| {
        let mut halves = parameter.splitn(2, |byte| *byte == b'=');
        let is_named = decode(halves.next()?).eq(name.bytes());
        is_named.then(|| halves.next().unwrap_or_default())
    }))?;
    Some(match value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        true => Cow::Owned(decode(value).collect()),
        false => Cow::Borrowed(value),
    })
}

fn decode(mut text: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (first, rest) = text.split_first()?;
        let (byte, rest) = match first {
            b'+' => (b' ', rest),
            b'%' => decode_digits(rest).unwrap_or((b'%', rest)),
            byte => (*byte, rest),
        };
        text = rest;
        Some(byte)
    })
}

/// The byte that the two digits after a `%` stand for, and what follows them.
fn decode_digits(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = after_percent else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, rest))
}
