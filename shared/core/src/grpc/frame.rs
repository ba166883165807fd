//! The frame of a gRPC message: a flag for compression, the length in four bytes, the message.
//!
//! A proxy that makes the gRPC call itself adds and removes frames. A policy needs them where a call goes out as plain
//! HTTP.

/// The size of the frame around a message.
pub const OVERHEAD: usize = 5;

/// Why bytes are not one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// More bytes are to come.
    Incomplete,
    /// The message is compressed, which nobody asked for.
    Compressed,
    /// The message is longer than the caller wants.
    TooLong,
    /// Bytes follow the message.
    Trailing,
}

/// Puts a message of less than 4 GiB into a frame.
pub fn encode(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(OVERHEAD + message.len());
    frame.push(0);
    frame.extend(length.to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// The message in a body that contains exactly one, of at most `max` bytes.
pub fn decode(body: &[u8], max: usize) -> Result<&[u8], FrameError> {
    let ([flag, length @ ..], rest) = body
        .split_first_chunk::<OVERHEAD>()
        .ok_or(FrameError::Incomplete)?;
    if *flag != 0 {
        return Err(FrameError::Compressed);
    }
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match rest.len() {
        _ if length > max => Err(FrameError::TooLong),
        available if available < length => Err(FrameError::Incomplete),
        available if available > length => Err(FrameError::Trailing),
        _ => Ok(rest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_body_is_one_message() {
        assert_eq!(encode(b"abc"), b"\0\0\0\0\x03abc");
        for (body, expected) in [
            (&b"\0\0\0\0\x03abc"[..], Ok(&b"abc"[..])),
            (b"\0\0\0\0\0", Ok(b"")),
            (b"\0\0\0", Err(FrameError::Incomplete)),
            (b"\0\0\0\0\x03ab", Err(FrameError::Incomplete)),
            (b"\x01\0\0\0\x03abc", Err(FrameError::Compressed)),
            (b"\0\xff\xff\xff\xffabc", Err(FrameError::TooLong)),
            (b"\0\0\0\0\x03abcd", Err(FrameError::Trailing)),
        ] {
            assert_eq!(decode(body, 3), expected, "{body:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>) {
            if let Ok(message) = decode(&body, 100) {
                prop_assert_eq!(encode(message), body);
            }
        }
    }
}
