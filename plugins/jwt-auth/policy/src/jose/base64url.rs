//! base64url without padding (RFC 7515 §2), with one spelling for each value.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Refuses padding, other alphabets, white space and trailing bits that are not zero: with two spellings of a
/// signature, a token could be changed and stay valid.
///
/// jwt-simple's decoder takes several times as long because it runs in constant time, and these bytes are not secret.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// The bytes, if the text is their only spelling.
pub(super) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

/// The spelling of the bytes.
#[cfg(test)]
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    ENGINE.encode(bytes)
}
