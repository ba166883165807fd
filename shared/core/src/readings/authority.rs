//! The authority of a request: the host that a client names.
//!
//! Envoy puts the `Host` of HTTP/1, the authority of a target in absolute form (which wins over `Host`, RFC
//! 9112, section 3.2.2) and the `:authority` of HTTP/2 and 3 into one pseudo header, and sends that to
//! the upstream. The upstream sees one authority, but may find another host in it:
//!
//! | spelling of `a.example` | who reads it so |
//! |---|---|
//! | `A.Example` | nearly everybody (RFC 3986, section 3.2.2); not Starlette's `Host` routes |
//! | `a.example:8443` | everybody; the port is no part of the host |
//! | `a.example:`, `a.example:80:81` | what cuts at the first `:` |
//! | `a.example.`, several dots | resolvers: a final dot is the root |
//! | `user@a.example`, `x:y@a.example` | parsers of URLs (WHATWG, RFC 3986); what cuts at the first `:` reads `x` |
//! | `ex%61mple` | parsers of URLs |
//! | `a.example,b.example`, `a.example b`, `a.example/x` | lists, lax parsers; the first or the last |
//!
//! | spelling of an address | who reads it so |
//! |---|---|
//! | `[0:0:0:0:0:0:0:1]`, `[::0001]` for `[::1]` | what parses addresses (RFC 4291, section 2.2) |
//! | `[::ffff:192.0.2.1]` for `192.0.2.1` | the sockets of most systems |
//! | `[fe80::1%25eth0]` for `[fe80::1]` | a zone is local to a node (RFC 6874) |
//! | `127.1`, `0x7f.1`, `2130706433`, `0177.0.0.1` for `127.0.0.1` | `inet_aton`, WHATWG URL |
//!
//! An authority that is longer than [`MAX_LENGTH`] bytes, or names more than [`MAX_HOSTS`] hosts, possibly names
//! every host: no honest client sends one.
//!
//! An authority in its plain form has one reading: a host in lower case or an address in its canonical
//! text (RFC 5952), and at most one port.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fit::Fit;
use super::reading::{Occurrences, Reading};
use super::value::{Escapes, decode};

/// An authority in the light of its readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a>(Kind<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind<'a> {
    /// The one host.
    Plain(&'a [u8]),
    /// The canonical hosts that it may name, when percent-encodings are decoded and letter case is undone.
    Several(Vec<Vec<u8>>),
    /// More of them than are looked at.
    TooMany,
}

/// The longest authority that is not plain and is looked at. A name has 253 bytes at most.
const MAX_LENGTH: usize = 512;
/// The most hosts that one authority is taken to name. Each condition compares each of them.
const MAX_HOSTS: usize = 8;

impl<'a> Authority<'a> {
    /// Reads an authority.
    pub fn new(authority: &'a [u8]) -> Self {
        Self(match plain_host(authority) {
            Some(host) => Kind::Plain(host),
            None if authority.len() > MAX_LENGTH => Kind::TooMany,
            None => {
                let mut decoded = decode(authority, Escapes::Query);
                decoded.make_ascii_lowercase();
                let hosts: Vec<_> = hosts(&decoded)
                    .map(Cow::into_owned)
                    .take(MAX_HOSTS + 1)
                    .collect();
                match hosts.len() {
                    0..=MAX_HOSTS => Kind::Several(hosts),
                    _ => Kind::TooMany,
                }
            }
        })
    }

    /// How well a condition on the host fits that looks at its canonical form.
    pub fn fit(&self, holds: impl Fn(&[u8]) -> bool) -> Fit {
        match &self.0 {
            Kind::Plain(host) => Fit::over([holds(host)]),
            // The letters differ from those of the request, so that no condition is certain.
            Kind::Several(hosts) => match hosts.iter().any(|host| holds(host)) {
                true => Fit::Possible,
                false => Fit::No,
            },
            Kind::TooMany => Fit::Possible,
        }
    }

    /// The host in its canonical form.
    pub fn read(&self) -> Reading<'_> {
        match &self.0 {
            Kind::Plain(host) => Reading::Value((*host).into()),
            // There is something, even if it is no host.
            Kind::Several(hosts) if hosts.is_empty() => Reading::Ambiguous,
            Kind::Several(hosts) => {
                let mut occurrences = Occurrences::new();
                for host in hosts {
                    occurrences.add(Reading::Value(host.as_slice().into()), true);
                }
                occurrences.agreed()
            }
            Kind::TooMany => Reading::Ambiguous,
        }
    }
}

/// The host of an authority in its plain form.
fn plain_host(authority: &[u8]) -> Option<&[u8]> {
    let is_bracket = authority.first() == Some(&b'[');
    let end = match is_bracket {
        true => authority.iter().position(|byte| *byte == b']')? + 1,
        false => {
            let colon = authority.iter().position(|byte| *byte == b':');
            colon.unwrap_or(authority.len())
        }
    };
    let (host, port) = authority.split_at_checked(end)?;
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => {
            (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    let is_label =
        |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~');
    let is_plain = is_port
        && match is_bracket {
            true => *address(host)? == *host,
            false => match host {
                [] | [.., b'.'] => false,
                host => host.iter().all(is_label) && address(host).is_none_or(|own| *own == *host),
            },
        };
    is_plain.then_some(host)
}

/// The canonical hosts that a decoded authority in lower case may name. Each takes linear time only once,
/// because they do not overlap.
fn hosts(decoded: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let is_delimiter = |byte: &u8| {
        matches!(
            byte,
            0..=b' ' | b',' | b'@' | b'/' | b'\\' | b'?' | b'#' | 0x7f
        )
    };
    decoded
        .split(is_delimiter)
        .map(canonical)
        .filter(|host| !host.is_empty())
}

/// The canonical form of a host, with or without a port.
pub fn canonical(authority: &[u8]) -> Cow<'_, [u8]> {
    let end = match authority {
        [b'[', ..] => authority
            .iter()
            .position(|byte| *byte == b']')
            .map(|end| end + 1),
        _ => authority.iter().position(|byte| *byte == b':'),
    };
    let mut host = end
        .and_then(|end| authority.get(..end))
        .unwrap_or(authority);
    while let [rest @ .., b'.'] = host {
        host = rest;
    }
    match address(host) {
        Some(address) => Cow::Owned(address.into_owned()),
        None => host.into(),
    }
}

/// The canonical text of an address, borrowed if it is that already.
fn address(host: &[u8]) -> Option<Cow<'_, [u8]>> {
    let address = match host {
        [b'[', address @ .., b']'] => {
            // A zone begins with the first byte that is no part of an address.
            let is_zone = |byte: &u8| !(byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
            let address = address.split(is_zone).next()?;
            let address = std::str::from_utf8(address).ok()?;
            let address: Ipv6Addr = address.parse().ok()?;
            match address.to_ipv4_mapped() {
                Some(mapped) => mapped.to_string(),
                None => format!("[{address}]"),
            }
        }
        host => inet_aton(host)?.to_string(),
    };
    Some(match address.as_bytes() == host {
        true => host.into(),
        false => Cow::Owned(address.into_bytes()),
    })
}

/// An IPv4 address of one to four numbers, each decimal, octal or hexadecimal. The last one stands for
/// all bytes that are left.
fn inet_aton(host: &[u8]) -> Option<Ipv4Addr> {
    // No name ends in a number.
    let last = host.rsplit(|byte| *byte == b'.').next()?;
    number(last)?;
    let (mut address, mut left) = (0_u32, 4_u32);
    let mut parts = host.split(|byte| *byte == b'.').peekable();
    while let Some(part) = parts.next() {
        let value = number(part)?;
        let bytes = match parts.peek() {
            Some(_) => 1,
            None => left,
        };
        left = left.checked_sub(bytes.max(1))?;
        let bits = bytes * 8;
        if u64::from(value) >> bits != 0 {
            return None;
        }
        address = u32::try_from((u64::from(address) << bits) | u64::from(value)).ok()?;
    }
    Some(address.into())
}

/// A number of 32 bits in decimal, octal after `0`, or hexadecimal after `0x`.
fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let (digits, radix) = match text.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let is_number = !digits.starts_with('+');
    is_number.then(|| u32::from_str_radix(digits, radix).ok())?
}
