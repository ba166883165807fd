//! The authority of a request: the host that the client names.
//!
//! Envoy puts the `Host` of HTTP/1, the authority of a target in absolute form (which overrides `Host`, RFC 9112,
//! section 3.2.2) and the `:authority` of HTTP/2 and HTTP/3 into one pseudo-header, and sends that to the upstream.
//! The upstream sees one authority, but may find a different host in it:
//!
//! | spelling of `a.example` | read as `a.example` by |
//! |---|---|
//! | `A.Example` | nearly all servers (RFC 3986, section 3.2.2); not by Starlette's `Host` routes |
//! | `a.example:8443` | all servers; the port is not part of the host |
//! | `a.example:`, `a.example:80:81` | servers that cut at the first `:` |
//! | `a.example.`, several dots | resolvers: a trailing dot is the root |
//! | `user@a.example`, `x:y@a.example` | URL parsers (WHATWG, RFC 3986); servers that cut at the first `:` read `x` |
//! | `ex%61mple` | URL parsers |
//! | `a.example,b.example`, `a.example b`, `a.example/x` | list parsers and lax parsers; they take the first or the last |
//!
//! | spelling of an address | read as the address by |
//! |---|---|
//! | `[0:0:0:0:0:0:0:1]`, `[::0001]` for `[::1]` | address parsers (RFC 4291, section 2.2) |
//! | `[::ffff:192.0.2.1]` for `192.0.2.1` | the sockets of most systems |
//! | `[fe80::1%25eth0]` for `[fe80::1]` | URL parsers: a zone is local to a node (RFC 6874) |
//! | `127.1`, `0x7f.1`, `2130706433`, `0177.0.0.1` for `127.0.0.1` | `inet_aton`, WHATWG URL |
//!
//! An authority that is longer than [`MAX_LENGTH`] bytes or names more than [`MAX_HOSTS`] hosts is a possible match
//! of every host: no legitimate client sends one.
//!
//! An authority in plain form has one interpretation: a host in lower case or an address in canonical text
//! (RFC 5952), and at most one port.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fit::Fit;
use super::reading::{Occurrences, Reading};
use super::value::{Escapes, decode};

/// An authority with all its interpretations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a>(Kind<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind<'a> {
    /// The only host.
    Plain(&'a [u8]),
    /// All canonical hosts that it may name, percent-decoded and in lower case.
    Several(Vec<Vec<u8>>),
    /// More hosts than are considered.
    TooMany,
}

/// The longest authority in other than plain form that is considered. A name has at most 253 bytes.
pub const MAX_LENGTH: usize = 512;
/// The highest number of hosts that one authority is considered to name. Each condition compares all of them.
pub const MAX_HOSTS: usize = 8;

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

    /// Evaluates a condition on the canonical form of the host.
    pub fn fit(&self, holds: impl Fn(&[u8]) -> bool) -> Fit {
        match &self.0 {
            Kind::Plain(host) => Fit::over([holds(host)]),
            // The spelling differs from that of the request, so no match is certain.
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
            // There is a value, even if it is not a host.
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

/// The host of an authority in plain form.
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

/// The canonical hosts that a decoded authority in lower case may name. They do not overlap, so this takes linear
/// time.
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

/// The canonical text of an address. Borrowed if the host has that form already.
fn address(host: &[u8]) -> Option<Cow<'_, [u8]>> {
    let address = match host {
        [b'[', address @ .., b']'] => {
            // A zone begins at the first byte that cannot be part of an address.
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

/// Parses an IPv4 address of one to four numbers, each decimal, octal or hexadecimal. The last one covers all
/// remaining bytes.
fn inet_aton(host: &[u8]) -> Option<Ipv4Addr> {
    // A name cannot end in a number.
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

/// Parses a 32-bit number: decimal, octal after `0`, or hexadecimal after `0x`.
fn number(text: &[u8]) -> Option<u32> {
    // Nearly all hosts are names, whose last label begins with a letter.
    if !text.first()?.is_ascii_digit() {
        return None;
    }
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
