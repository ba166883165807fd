//! The client's address, or the network that contains it.
//!
//! Envoy writes the address as `192.0.2.1:51000` or `[2001:db8::1]:51000`. The value is the address without the
//! port, as 4 or 16 bytes; all bits behind the prefix are 0. An IPv4 address in IPv6 form (`::ffff:192.0.2.1`)
//! counts as an IPv4 address.
//!
//! The default prefix of IPv6 addresses is /64. One customer, often one device, gets at least that; if single
//! addresses counted, every client would have 2⁶⁴ keys.
//!
//! Any other text (the path of a Unix socket) is used as it is, without a port at its end: each connection has a
//! different port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;

/// The prefix length that identifies a client: clients of one network share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Prefixes {
    /// The prefix length of IPv4 addresses, in bits. Default: 32.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 32), with = "u8"))]
    v4: Bits<32>,
    /// The prefix length of IPv6 addresses, in bits. Default: 64.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 128), with = "u8"))]
    v6: Bits<128>,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self {
            v4: Bits(32),
            v6: Bits(64),
        }
    }
}

/// From 1 to `MAX` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "u8")]
struct Bits<const MAX: u8>(u8);

impl<const MAX: u8> TryFrom<u8> for Bits<MAX> {
    type Error = String;

    fn try_from(bits: u8) -> Result<Self, String> {
        match (1..=MAX).contains(&bits) {
            true => Ok(Self(bits)),
            false => Err(format!(
                "found {bits}; expected a whole number from 1 to {MAX}"
            )),
        }
    }
}

/// The part of an address that identifies the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network<'a> {
    V4([u8; 4]),
    V6([u8; 16]),
    Other(&'a [u8]),
}

impl<'a> Network<'a> {
    /// The network of an address in the form that Envoy uses.
    pub(super) fn of(address: &'a [u8], prefixes: Prefixes) -> Self {
        match parse(address) {
            Some(IpAddr::V4(address)) => {
                let mask = u32::MAX << (32 - u32::from(prefixes.v4.0));
                Self::V4((address.to_bits() & mask).to_be_bytes())
            }
            Some(IpAddr::V6(address)) => {
                let mask = u128::MAX << (128 - u32::from(prefixes.v6.0));
                Self::V6((address.to_bits() & mask).to_be_bytes())
            }
            None => Self::Other(without_port(address)),
        }
    }

    /// The address, or the network with its prefix length if that is shorter than an address. `None` for a text that
    /// is neither.
    pub(super) fn with_prefix(&self, prefixes: Prefixes) -> Option<String> {
        match (self, prefixes.v4.0, prefixes.v6.0) {
            (Self::V4(_), 32, _) | (Self::V6(_), _, 128) => Some(self.to_string()),
            (Self::V4(_), bits, _) | (Self::V6(_), _, bits) => Some(format!("{self}/{bits}")),
            (Self::Other(_), ..) => None,
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
            Self::Other(text) => text,
        }
    }
}

/// The first address of the network.
impl fmt::Display for Network<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(bytes) => Ipv4Addr::from(*bytes).fmt(f),
            Self::V6(bytes) => Ipv6Addr::from(*bytes).fmt(f),
            Self::Other(text) => String::from_utf8_lossy(text).fmt(f),
        }
    }
}

/// The address in the form that Envoy uses; `None` for any other text. An IPv4 address in IPv6 form is an IPv4 address.
pub(crate) fn parse(address: &[u8]) -> Option<IpAddr> {
    if let Some(address) = parse_v4(address) {
        return Some(address.into());
    }
    let address = std::str::from_utf8(address).ok()?;
    let with_port = address.parse().map(|address: SocketAddr| address.ip());
    let address = with_port.or_else(|_| address.parse()).ok()?;
    Some(address.to_canonical())
}

/// Parses `192.0.2.1:51000`, the form of most addresses, in half of the instructions that std needs to try every
/// form. Returns `None` for every other form.
fn parse_v4(address: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut rest = address;
    for (octet, end) in octets.iter_mut().zip(*b"...:") {
        (*octet, rest) = parse_octet(rest, end)?;
    }
    is_port(rest).then(|| octets.into())
}

/// Whether a text is a number of up to five digits, below 65,536.
fn is_port(text: &[u8]) -> bool {
    // Numbers of equally many digits compare like texts.
    let is_small = matches!(text.len(), 1..=4) || (text.len() == 5 && text <= &b"65535"[..]);
    is_small && text.iter().all(u8::is_ascii_digit)
}

/// Parses a number below 256 without leading zeros, up to the byte `end`. Also returns the rest behind that byte.
fn parse_octet(text: &[u8], end: u8) -> Option<(u8, &[u8])> {
    let (number, rest) = match *text {
        [a, byte, ref rest @ ..] if byte == end => (digit(a)?, rest),
        [a @ b'1'..=b'9', b, byte, ref rest @ ..] if byte == end => {
            (digit(a)? * 10 + digit(b)?, rest)
        }
        [a @ b'1'..=b'9', b, c, byte, ref rest @ ..] if byte == end => {
            (digit(a)? * 100 + digit(b)? * 10 + digit(c)?, rest)
        }
        _ => return None,
    };
    Some((u8::try_from(number).ok()?, rest))
}

fn digit(byte: u8) -> Option<u32> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(digit.into())
}

fn without_port(address: &[u8]) -> &[u8] {
    let mut parts = address.rsplitn(2, |byte| *byte == b':');
    match (parts.next(), parts.next()) {
        (Some(port), Some(rest)) if port.iter().all(u8::is_ascii_digit) => rest,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// The IPv4 address that std finds, if there is one with a port.
    fn by_std(address: &str) -> Option<Ipv4Addr> {
        match address.parse() {
            Ok(SocketAddr::V4(address)) => Some(*address.ip()),
            _ => None,
        }
    }

    proptest! {
        /// Numbers around the largest valid one, with leading zeros, missing or superfluous, and other bytes.
        #[test]
        fn what_is_parsed_at_once_is_what_std_parses(
            address in r"([0-9]{1,3}|0|1[0-9]{2}|2[45][0-9])(\.([0-9]{0,2}|25[4-7])){2,4}[:;]?[0-9]{0,12}.?",
        ) {
            if let Some(parsed) = parse_v4(address.as_bytes()) {
                prop_assert_eq!(Some(parsed), by_std(&address));
            }
        }

        #[test]
        fn every_address_that_envoy_gives_is_parsed_at_once(octets: [u8; 4], port: u16) {
            let address = Ipv4Addr::from(octets);
            prop_assert_eq!(parse_v4(format!("{address}:{port}").as_bytes()), Some(address));
        }
    }
}
