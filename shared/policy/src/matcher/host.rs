//! Hosts as a request names them and as a rule does.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use crate::readings::Fit;

/// The longest name that DNS allows.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The host part of an `:authority`: without the port, and without one final dot.
///
/// An IPv6 address keeps its brackets. What is not a valid authority is cut in the same way, at
/// the first `:` outside brackets, so that it cannot hide a host behind a second port.
pub(super) fn without_port(authority: &[u8]) -> &[u8] {
    if authority.starts_with(b"[") {
        let end = authority.iter().position(|byte| *byte == b']');
        return end
            .and_then(|end| authority.get(..=end))
            .unwrap_or(authority);
    }
    let host = authority.split(|byte| *byte == b':').next();
    let host = host.unwrap_or(authority);
    host.strip_suffix(b".").unwrap_or(host)
}

/// A host that a rule names: `api.example`, `*.example`, `192.0.2.1` or `[2001:db8::1]`.
///
/// `*.example` stands for every name below `example`, at any depth, but not for `example`. Letter
/// case does not count, nor does the spelling of an IPv6 address. Names in other scripts are
/// written as they are sent: `xn--…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String")
)]
#[serde(try_from = "String")]
pub struct HostPattern(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A name or an IPv4 address, in lower case.
    Exact(String),
    /// The dot and the name that a host must end with, in lower case.
    Below(String),
    Ipv6(Ipv6Addr),
}

impl HostPattern {
    pub(super) fn fit(&self, host: &[u8]) -> Fit {
        Fit::over([self.matches(host)])
    }

    /// Whether this host is meant; it comes from [`without_port`].
    fn matches(&self, host: &[u8]) -> bool {
        match &self.0 {
            Kind::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Kind::Below(suffix) => {
                let label = host.len().checked_sub(suffix.len());
                label
                    .filter(|label| *label > 0)
                    .and_then(|label| host.get(label..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
            }
            Kind::Ipv6(address) => ipv6(host) == Some(*address),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let kind = if let Some(address) = ipv6(text.as_bytes()) {
            Kind::Ipv6(address)
        } else if let Some(name) = text.strip_prefix("*.") {
            is_name(name).then(|| Kind::Below(format!(".{name}")))?
        } else {
            (is_name(&text) || text.parse::<Ipv4Addr>().is_ok()).then_some(Kind::Exact(text))?
        };
        Some(Self(kind))
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| {
            format!(
                "found {text:?}; expected a host without a port: a name such as \"api.example\", \
                 \"*.example\" for all names below one, an IPv4 address, or an IPv6 address in \
                 brackets"
            )
        })
    }
}

fn ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let address = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(address).ok()?.parse().ok()
}

/// Whether a text in lower case can be a name in DNS. `_` is there too: no host should have it in
/// its name, but some do. A name does not end in a number, for that is how addresses are told.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    let ends_in_number = text
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= MAX_NAME && text.split('.').all(is_label) && !ends_in_number
}
