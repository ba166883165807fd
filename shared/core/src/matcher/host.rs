//! Conditions on the host of a request.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use crate::readings::Fit;
use crate::readings::authority::{self, Authority};

/// The longest name that DNS allows.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host: `api.example`, `*.example`, `192.0.2.1` or `[2001:db8::1]`.
///
/// `*.example` matches every name below `example` at any depth, but not `example` itself. Letter case and the
/// spelling of an IPv6 address do not matter. Write an internationalised name as it is sent: `xn--…`.
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
    /// A name in lower case, or the canonical text of an address.
    Exact(String),
    /// The suffix that a host must have, with its leading dot, in lower case.
    Below(String),
}

impl HostPattern {
    /// Whether the host of a request matches.
    pub(super) fn fit(&self, authority: &Authority<'_>) -> Fit {
        authority.fit(|host| self.is_for(host))
    }

    /// Whether a host in canonical form matches.
    fn is_for(&self, host: &[u8]) -> bool {
        match &self.0 {
            Kind::Exact(name) => host == name.as_bytes(),
            Kind::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let kind = if let Some(name) = text.strip_prefix("*.") {
            is_name(name).then(|| Kind::Below(format!(".{name}")))?
        } else if is_name(&text) || text.parse::<Ipv4Addr>().is_ok() {
            Kind::Exact(text)
        } else {
            let address = text.strip_prefix('[')?.strip_suffix(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            let canonical = authority::canonical(text.as_bytes()).into_owned();
            Kind::Exact(String::from_utf8(canonical).ok()?)
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

/// Whether a lower-case text can be a DNS name. `_` is allowed, because some host names contain it, although they
/// should not. A name cannot end in a number: such a host is an address.
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

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn fit(pattern: &str, authority: &str) -> Fit {
        let pattern = HostPattern::try_from(pattern.to_owned()).unwrap();
        pattern.fit(&Authority::new(authority.as_bytes()))
    }

    #[test]
    fn a_host_is_certain_only_in_its_plain_form() {
        for authority in ["a.example", "a.example:8443"] {
            assert_eq!(fit("A.example", authority), Fit::Certain, "{authority}");
            assert_eq!(fit("*.example", authority), Fit::Certain, "{authority}");
            assert_eq!(fit("b.example", authority), Fit::No, "{authority}");
        }
        for authority in [
            "A.example",
            "a.example.",
            "a.example..:80",
            "a.example:",
            "a.example:80:81",
            "a.example:x",
            "%61.example",
            "user@a.example",
            "a.example@user",
            "a.example:x@b",
            "b.example,a.example",
            "b.example a.example",
            "a.example/x",
        ] {
            assert_eq!(fit("a.example", authority), Fit::Possible, "{authority}");
            assert_eq!(fit("*.example", authority), Fit::Possible, "{authority}");
            assert_eq!(fit("c.example", authority), Fit::No, "{authority}");
        }
        for authority in ["", "example", ".example", "xa.example.com", "xn--a.example"] {
            assert_eq!(fit("a.example", authority), Fit::No, "{authority}");
        }
    }

    #[test]
    fn an_address_is_meant_in_every_spelling() {
        for (pattern, certain, possible) in [
            ("[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]"),
            ("[2001:DB8:0::1]", "[2001:db8::1]", "[2001:DB8::1%25eth0]"),
            ("127.0.0.1", "127.0.0.1:80", "127.1"),
            ("127.0.0.1", "127.0.0.1", "0x7f000001"),
            ("127.0.0.1", "127.0.0.1", "0177.0.0.1."),
            ("127.0.0.1", "127.0.0.1", "[::ffff:7f00:1]"),
            ("[::ffff:127.0.0.1]", "127.0.0.1", "[::ffff:127.0.0.1]"),
        ] {
            assert_eq!(fit(pattern, certain), Fit::Certain, "{pattern} {certain}");
            assert_eq!(
                fit(pattern, possible),
                Fit::Possible,
                "{pattern} {possible}"
            );
        }
        for other in [
            "[::2]",
            "[::1",
            "::1",
            "1.2.3.4.5",
            "256.256",
            "4294967296",
            "08.1",
        ] {
            assert_eq!(fit("[::1]", other), Fit::No, "{other}");
            assert_eq!(fit("127.0.0.1", other), Fit::No, "{other}");
        }
    }
}
