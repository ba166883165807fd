//! base64url without padding (RFC 7515 §2), of which there is one spelling for each value.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding, other alphabets, white space and bits that lead nowhere are refused: were there two
/// spellings of a signature, a token could be changed and stay valid.
///
/// This is not the decoder of jwt-simple, whose constant time costs a multiple of this one's, for
/// bytes that are no secret here.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// The bytes, if this is their one spelling.
pub(super) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

/// The spelling of the bytes.
#[cfg(test)]
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    ENGINE.encode(bytes)
}
