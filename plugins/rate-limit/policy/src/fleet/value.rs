//! The values of descriptors, which clients choose.
//!
//! A header can have 60 KB, and the message of a reservation is kept until its commit. So a value of more than
//! [`LONGEST`] bytes is sent as its beginning and a hash of all of it. The hash is the same in each proxy of a fleet, and
//! nobody can find two values that share it; the keyed hash of the table is neither. What is sent then is always longer
//! than [`LONGEST`], so no value of a client is equal to that of another one.

use std::fmt::Write as _;

use hmac_sha256::Hash;

/// The longest value that is sent as it is, in bytes.
const LONGEST: usize = 256;
/// The longest beginning of a longer value. Up to three bytes are missing if it would end within a character.
const BEGINNING: usize = 192;
/// Between the beginning and the hash.
const SEPARATOR: &str = "#sha256:";
/// The hash in hexadecimal digits.
const DIGITS: usize = 64;

const _: () = assert!(BEGINNING - 3 + SEPARATOR.len() + DIGITS > LONGEST);

/// The value, or what is sent in its place.
pub(super) fn bounded(value: String) -> String {
    if value.len() <= LONGEST {
        return value;
    }
    let hash = Hash::hash(value.as_bytes());
    let end = value.floor_char_boundary(BEGINNING);
    let mut bounded = String::with_capacity(end + SEPARATOR.len() + DIGITS);
    bounded.push_str(value.get(..end).unwrap_or_default());
    bounded.push_str(SEPARATOR);
    for byte in hash {
        // A string takes everything.
        let _ = write!(bounded, "{byte:02x}");
    }
    bounded
}
