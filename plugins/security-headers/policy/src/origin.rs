//! Origins: scheme, host and port (RFC 6454).

use std::fmt;

use serde::Deserialize;

/// An origin such as `https://app.example` or `http://localhost:3000`, in the form that browsers send: lower case,
/// without the scheme's default port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct Origin(String);

impl Origin {
    /// Whether an `Origin` header names this origin, with or without the scheme's default port.
    pub(super) fn is_named_by(&self, origin: &[u8]) -> bool {
        without_default_port(origin) == self.0.as_bytes()
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "null" {
            return Err("every sandboxed frame has the origin \"null\", so any site can send it");
        }
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("an origin is a scheme, a host and an optional port")?;
        if !is_scheme(scheme) {
            return Err("the scheme is not valid");
        }
        if rest.contains(['/', '?', '#']) {
            return Err("an origin ends after the host or port, without a slash");
        }
        let (host, port) = split_port(rest.as_bytes());
        if !is_host(host) {
            return Err(
                "the host is not valid: write names in ASCII (punycode), without wildcards",
            );
        }
        let Some(port) = port else {
            return Ok(Self(text));
        };
        let number = std::str::from_utf8(port)
            .ok()
            .and_then(|port| port.parse::<u16>().ok());
        match number {
            Some(number @ 1..) if number.to_string().as_bytes() == port => {}
            _ => return Err("the port is not a number from 1 to 65535"),
        }
        match default_port(scheme) {
            Some(default) if default == port => {
                let without = text.rsplit_once(':').map(|(before, _)| before.to_owned());
                Ok(Self(without.unwrap_or(text)))
            }
            _ => Ok(Self(text)),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|problem| {
            format!(
                "found {text:?}; expected an origin such as \"https://app.example\" or \
                 \"http://localhost:3000\": {problem}"
            )
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether this `Origin` has the host and port of `authority`, so that a browser sent the request to its page's own
/// site, as far as a proxy can know. The scheme is not compared: a proxy that receives clear text does not know the
/// client's scheme.
///
/// On both sides, a missing port is the default port of the origin's scheme.
pub(super) fn is_same_host(origin: &[u8], authority: &[u8]) -> bool {
    let (scheme, rest) = if let Some(rest) = origin.strip_prefix(b"https://") {
        ("https", rest)
    } else if let Some(rest) = origin.strip_prefix(b"http://") {
        ("http", rest)
    } else {
        return false;
    };
    let (host, port) = split_port(rest);
    // An empty port equals a missing one (RFC 3986, section 3.2.3).
    let (own_host, own_port) = split_port(authority.strip_suffix(b":").unwrap_or(authority));
    !host.is_empty()
        && host.eq_ignore_ascii_case(own_host)
        && port.or(default_port(scheme)) == own_port.or(default_port(scheme))
}

/// Host and port of a URL.
pub(super) fn authority(url: &[u8]) -> Option<&[u8]> {
    let start = url.windows(3).position(|three| three == b"://")? + 3;
    let rest = url.get(start..)?;
    rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next()
}

fn without_default_port(origin: &[u8]) -> &[u8] {
    let ports = [(&b"http://"[..], &b":80"[..]), (b"https://", b":443")];
    let mut of_scheme = ports
        .iter()
        .filter(|(scheme, _)| origin.starts_with(scheme));
    let port = of_scheme.next().map(|(_, port)| *port);
    port.and_then(|port| origin.strip_suffix(port))
        .unwrap_or(origin)
}

fn default_port(scheme: &str) -> Option<&'static [u8]> {
    match scheme {
        "http" => Some(b"80"),
        "https" => Some(b"443"),
        _ => None,
    }
}

/// Host and port of `host`, `host:port`, `[::1]`, `[::1]:port`.
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = authority.rsplitn(2, |byte| *byte == b':');
    match (parts.next(), parts.next()) {
        (Some(port), Some(host)) if !port.is_empty() && port.iter().all(u8::is_ascii_digit) => {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

/// RFC 3986, section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn is_host(host: &[u8]) -> bool {
    let inner = host
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"));
    match inner {
        Some(address) => std::str::from_utf8(address)
            .is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    }
}
