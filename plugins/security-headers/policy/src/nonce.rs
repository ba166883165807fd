//! Nonces for Content-Security-Policy.

use std::fmt;

/// 128 random bits in base64url without padding.
///
/// The alphabet needs no escaping in a header, in HTML, or in the JavaScript and JSON with which pages pass it on.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce([u8; 22]);

impl Nonce {
    pub(super) fn new(random: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(random);
        // 21 symbols of six bits from the top; the last one holds the remaining two bits and four zeros.
        Self(std::array::from_fn(|i| match i {
            0..=20 => symbol((bits >> (122 - 6 * i)) as u8 & 0x3f),
            _ => symbol((bits << 4) as u8 & 0x3f),
        }))
    }

    /// The nonce as it stands in headers and in HTML.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn symbol(six_bits: u8) -> u8 {
    match six_bits {
        0..=25 => b'A' + six_bits,
        26..=51 => b'a' + (six_bits - 26),
        52..=61 => b'0' + (six_bits - 52),
        62 => b'-',
        _ => b'_',
    }
}

/// Without the nonce itself: anyone who knows it can run scripts.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Computed with Python's base64.urlsafe_b64encode.
    #[test]
    fn is_base64url_of_all_bits() {
        let text = |random| String::from_utf8(Nonce::new(random).as_bytes().to_vec()).unwrap();
        assert_eq!(text([0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(text([0xff; 16]), "_____________________w");
        assert_eq!(
            text(std::array::from_fn(|i| i as u8 * 17)),
            "ABEiM0RVZneImaq7zN3u_w"
        );
        assert_eq!(text([0xfb; 16]), "-_v7-_v7-_v7-_v7-_v7-w");
    }
}
