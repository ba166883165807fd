//! Percent-encoding (RFC 3986, section 2.1).

/// The byte that the two digits after a `%` stand for, and what follows them.
pub(super) fn decode(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = after_percent.split_at_checked(2)?;
    let byte = u8::try_from(hex(digits)?).ok()?;
    Some((byte, after))
}

/// The number that up to four hexadecimal digits stand for.
pub(super) fn hex(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number * 16 + u16::try_from(digit).ok()?)
    })
}
