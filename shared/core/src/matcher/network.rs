//! Conditions on the client's address.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;

/// A network or an address: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`.
///
/// An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) is the IPv4 address, here and in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String")
)]
#[serde(try_from = "String")]
pub(super) struct Network {
    /// All bits behind the prefix are 0.
    first: IpAddr,
    /// The length of the prefix, in bits.
    prefix: u8,
}

impl Network {
    /// Whether the address, which is no IPv4 address in IPv6 form, is in the network.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        first(address, self.prefix) == Some(self.first)
    }

    fn parse(text: &str) -> Option<(IpAddr, u8)> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(number(prefix)?)),
            None => (text.parse().ok()?, None),
        };
        let bits = bits(address);
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return None;
        }
        Some(match (address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix)) if address.is_ipv6() => (mapped.into(), prefix),
            _ => (address, prefix),
        })
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A number without sign and leading zeros.
fn number(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    (is_plain && is_short).then(|| text.parse().ok()).flatten()
}

/// The first address with the same prefix; `None` if addresses of its kind are shorter.
fn first(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    let rest = u32::from(bits(address).checked_sub(prefix)?);
    Some(match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    })
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some((address, prefix)) = Self::parse(&text) else {
            return Err(format!(
                "found {text:?}; expected an address such as \"192.0.2.1\", or a network such as \
                 \"192.0.2.0/24\" or \"2001:db8::/32\""
            ));
        };
        let network = Self {
            first: first(address, prefix).unwrap_or(address),
            prefix,
        };
        match network.first == address {
            true => Ok(network),
            false => Err(format!(
                "found {text:?}; expected the first address of that network: \"{network}\""
            )),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        Network::try_from(text.to_owned())
    }

    #[test]
    fn a_network_is_written_in_one_way() {
        for good in [
            "192.0.2.1",
            "192.0.2.1/32",
            "192.0.2.0/24",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32",
            "2001:DB8:0::/32",
            "::1",
            "::ffff:192.0.2.0/120",
            "::ffff:0:0/96",
        ] {
            assert!(network(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/8",
            "10/8",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/-8",
            "10.0.0.0/33",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/8/8",
            "010.0.0.0/8",
            "10.0.0.0 /8",
            " 10.0.0.0/8",
            "10.0.0.0:80",
            "[::1]",
            "::1/129",
            "fe80::1%eth0",
            "a.example",
            "0x0a.0.0.0/8",
        ] {
            let error = network(bad).unwrap_err();
            assert!(error.contains("expected an address"), "{bad}: {error}");
        }
        for (bad, first) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("192.0.2.1/0", "0.0.0.0/0"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/80", "::/80"),
        ] {
            let expected =
                format!("found {bad:?}; expected the first address of that network: {first:?}");
            assert_eq!(network(bad).unwrap_err(), expected);
        }
    }

    #[test]
    fn kinds_of_addresses_do_not_mix() {
        let contains = |text: &str, address: &str| {
            let address: IpAddr = address.parse().unwrap();
            network(text).unwrap().contains(address.to_canonical())
        };
        assert!(contains("::ffff:192.0.2.0/120", "192.0.2.7"));
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.7"));
        assert!(contains("::ffff:0:0/96", "192.0.2.7"));
        assert!(contains("0.0.0.0/0", "192.0.2.7"));
        assert!(!contains("::/0", "192.0.2.7"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(!contains("0.0.0.0/8", "::1"));
        assert!(!contains("::/8", "0.0.0.1"));
    }

    proptest! {
        #[test]
        fn a_network_has_the_addresses_with_its_prefix(a: u32, b: u32, same in 0_u8..=32, prefix in 0_u8..=32) {
            // Two addresses with at least that many bits in common.
            let keep = u32::MAX.checked_shr(same.into()).unwrap_or(0);
            let b = (a & !keep) | (b & keep);
            let contains = |first: u32, address: IpAddr| {
                let first = Ipv4Addr::from(first & u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0));
                network(&format!("{first}/{prefix}")).unwrap().contains(address)
            };
            let has_prefix = (a ^ b).leading_zeros() >= prefix.into();
            prop_assert_eq!(contains(a, IpAddr::V4(b.into())), has_prefix);
        }

        #[test]
        fn the_same_for_ipv6(a: u128, b: u128, same in 0_u8..=128, prefix in 0_u8..=128) {
            let keep = u128::MAX.checked_shr(same.into()).unwrap_or(0);
            let b = (a & !keep) | (b & keep);
            let first = Ipv6Addr::from(a & u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0));
            prop_assume!(first.to_ipv4_mapped().is_none());
            let network = network(&format!("{first}/{prefix}")).unwrap();
            let has_prefix = (a ^ b).leading_zeros() >= prefix.into();
            prop_assert_eq!(network.contains(IpAddr::V6(b.into())), has_prefix);
        }
    }
}
