//! Percent-encoding (RFC 3986, section 2.1): the one place that decodes it.
//!
//! Servers differ in which encodings they decode and in what they do with the result, so there is no function that
//! decodes a whole text. [`Units`] walks over a text, and each caller decides on each unit.

/// The units of a text in order: bytes that stand for themselves, and encodings of a byte. A `%` that starts no
/// encoding stands for itself.
pub(super) struct Units<'a> {
    rest: &'a [u8],
}

/// One unit of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit<'a> {
    /// A byte that stands for itself.
    Plain(u8),
    /// The byte that an encoding stands for, and the encoding as written.
    Encoded(u8, &'a [u8]),
}

impl<'a> Units<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// The text behind the units so far.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = Unit<'a>;

    #[inline]
    fn next(&mut self) -> Option<Unit<'a>> {
        let (first, after) = self.rest.split_first()?;
        if *first == b'%'
            && let Some((encoding, rest)) = self.rest.split_at_checked(3)
            && let [_, high, low] = encoding
            && let Some(byte) = hex(&[*high, *low]).and_then(|byte| u8::try_from(byte).ok())
        {
            self.rest = rest;
            return Some(Unit::Encoded(byte, encoding));
        }
        self.rest = after;
        Some(Unit::Plain(*first))
    }
}

impl Unit<'_> {
    /// The byte that the unit stands for.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Plain(byte) | Self::Encoded(byte, _) => byte,
        }
    }
}

/// Whether a text contains an encoding.
pub(super) fn has_encoding(text: &[u8]) -> bool {
    Units::of(text).any(|unit| matches!(unit, Unit::Encoded(..)))
}

/// Whether a text starts with two hexadecimal digits: behind a `%` they make an encoding.
pub(super) fn starts_with_digits(text: &[u8]) -> bool {
    matches!(text, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// The number that up to four hexadecimal digits stand for.
pub(super) fn hex(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number * 16 + u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_text_is_divided_into_bytes_and_encodings() {
        let units: Vec<_> = Units::of(b"a%2f%%4G%4").collect();
        let [a, percent, four, g] = [b'a', b'%', b'4', b'G'].map(Unit::Plain);
        let slash = Unit::Encoded(b'/', b"%2f");
        assert_eq!(units, [a, slash, percent, percent, four, g, percent, four]);
        let bytes: Vec<_> = Units::of(b"%25%32%66").map(Unit::byte).collect();
        assert_eq!(bytes, b"%2f");
        assert!(has_encoding(b"%%41") && !has_encoding(b"&41%4g"));
    }
}
