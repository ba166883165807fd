//! Parameters in the query of a request.

use std::borrow::Cow;

use crate::headers::HeaderMap;

/// The values of the parameters of this name in the query of the `:path`, decoded.
///
/// Read as forms are: parameters are divided by `&`, `+` is a blank, `%61` is `a`, in names too. Without
/// decoding, each value would have many spellings and each spelling a count of its own. A `%` that does
/// not start an encoding stays.
pub(crate) fn values<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> impl Iterator<Item = Cow<'a, [u8]>> {
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
                true => Cow::Owned(decode(value).collect()),
                false => Cow::Borrowed(value),
            }
        })
}

/// Whether a parameter, as it stands between two ampersands, has this name.
pub(crate) fn is_named(parameter: &[u8], name: &str) -> bool {
    let own = parameter.split(|byte| *byte == b'=').next();
    decode(own.unwrap_or_default()).eq(name.bytes())
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
