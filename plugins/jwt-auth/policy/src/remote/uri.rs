//! The URI of a document.

use std::fmt;

use serde::Deserialize;

use portcullis_core::matcher::HostPattern;

/// An absolute `http` or `https` URI (RFC 9110, section 4.2), in the parts that a request needs.
///
/// It has a host and optionally a port, a path and a query. Scheme and host are in lower case, the scheme's default
/// port is left out, and an empty path is `/`; the rest stays as written. User information (deprecated, and a secret in
/// a configuration) and fragments (which are never sent) are refused, and so is every byte that RFC 3986 does not
/// allow: nothing can be smuggled into the request.
///
/// The scheme only sets `:scheme`. The cluster decides whether the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub struct Uri {
    scheme: Scheme,
    authority: String,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

impl Uri {
    /// `http` or `https`: the `:scheme`.
    pub fn scheme(&self) -> &'static str {
        self.scheme.as_str()
    }

    /// Host and port, without the scheme's default port: the `:authority`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query: the `:path`.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let scheme = [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or("its scheme is neither http nor https")?;
        if rest.contains('#') {
            return Err("a fragment is never sent to the server");
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("user information is not allowed");
        }
        let (host, port) = split_port(authority);
        let host = host.to_ascii_lowercase();
        if host.starts_with('*') || HostPattern::try_from(host.clone()).is_err() {
            return Err(
                "its host is neither a name, nor an IPv4 address, nor an IPv6 address in \
                        brackets",
            );
        }
        let port = port.map(parse_port).transpose()?;
        if !is_path(path) {
            return Err(
                "its path has a character that must be percent-encoded, or a % without two hex \
                        digits",
            );
        }
        Ok(Self {
            scheme,
            authority: match port.filter(|port| *port != scheme.default_port()) {
                Some(port) => format!("{host}:{port}"),
                None => host,
            },
            path: match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("/{path}"),
            },
        })
    }
}

impl TryFrom<String> for Uri {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|problem| {
            format!(
                "found {text:?}; expected an http or https URI such as \
                 \"https://idp.example/.well-known/jwks.json\": {problem}"
            )
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
    }
}

/// Splits host and port; the colons of an IPv6 address are in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn parse_port(port: &str) -> Result<&str, &'static str> {
    match port.parse::<u16>() {
        Ok(number @ 1..) if number.to_string() == port => Ok(port),
        _ => Err("its port is not a number from 1 to 65535"),
    }
}

/// Whether a text is a path of RFC 3986, with an optional query.
fn is_path(text: &str) -> bool {
    let is_encoding = |text: &str| {
        let digits = text.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut parts = text.split('%');
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte));
    parts.next();
    is_plain && parts.all(is_encoding)
}
