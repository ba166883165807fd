//! The places of tokens: how to find a token there, and how to remove it.
//!
//! - **Header**: the text after `prefix`. The line must begin with the prefix. Its letter case does not matter, as for
//!   every authentication scheme (RFC 9110, section 11.1), and further blanks may follow a prefix that ends with one
//!   (RFC 6750, section 2.1). A line that begins with other text has no token. A header with a token must not have a
//!   second line with another value: the policy cannot know which of the two the upstream uses.
//! - **Cookie**: see [`cookie`]. **Query**: see [`query`]; the value is decoded.
//! - Text that only resembles a token, or is one for some servers, is neither a token nor a missing one: see
//!   [`lookalike`].
//! - The same token several times is one token, in one place or in several: proxies that send a token in a header
//!   leave it in the cookie (Cloudflare Access), and browsers send one cookie for each path.
//! - An empty value is not a token: a cookie looks like this after logging out.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::lookalike;
use super::reason::Reason;
use portcullis_core::config::{HeaderName, Text, at_member};
use portcullis_core::few::Few;
use portcullis_core::headers::{HeaderMap, is_token};
use portcullis_core::key::{cookie, query};
use portcullis_core::matcher::not_exactly_one;

const AUTHORIZATION: &str = "authorization";
const BEARER: &str = "Bearer ";
const PATH: Bytes = Bytes::from_static(b":path");
const COOKIE: Bytes = Bytes::from_static(b"cookie");

/// A place in a request where a token may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "Fields")
)]
#[serde(try_from = "Fields")]
pub(super) enum Place {
    /// The prefix is in lower case.
    Header {
        name: HeaderName,
        /// The name again, as the header map needs it.
        bytes: Bytes,
        prefix: String,
    },
    Cookie(Text),
    Query(Text),
}

/// Exactly one of `header`, `cookie`, `query`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Name of a header.
    header: Option<HeaderName>,
    /// Text before the token in the header; its letter case does not matter. Default: none, or `Bearer ` for
    /// `authorization`.
    prefix: Option<String>,
    /// Name of a cookie.
    cookie: Option<Text>,
    /// Name of a query parameter. A last resort: browsers, proxies and logs store URLs.
    query: Option<Text>,
}

/// The content of a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Search<T> {
    /// A token.
    Found(T),
    /// Text that resembles a token and is not one.
    Lookalike,
    /// No token.
    Nothing,
}

impl TryFrom<Fields> for Place {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if let (None, Some(prefix)) = (&fields.header, &fields.prefix) {
            let message =
                format!("found {prefix:?} without \"header\"; only a header has a prefix");
            return Err(at_member("prefix", message));
        }
        let members = [
            ("header", fields.header.is_some()),
            ("cookie", fields.cookie.is_some()),
            ("query", fields.query.is_some()),
        ];
        match (fields.header, fields.cookie, fields.query) {
            (Some(name), None, None) => Self::header(name, fields.prefix),
            (None, Some(name), None) if !is_token(name.as_str()) => {
                let message = format!("found {:?}; expected the name of a cookie", name.as_str());
                Err(at_member("cookie", message))
            }
            (None, Some(name), None) => Ok(Self::Cookie(name)),
            (None, None, Some(name)) => Ok(Self::Query(name)),
            _ => Err(not_exactly_one(&members)),
        }
    }
}

impl Place {
    /// The `Authorization` header with the scheme `Bearer`.
    pub(super) fn bearer() -> Option<Self> {
        let name = HeaderName::try_from(AUTHORIZATION.to_owned()).ok()?;
        Self::header(name, None).ok()
    }

    fn header(name: HeaderName, prefix: Option<String>) -> Result<Self, String> {
        if name.as_str() == "cookie" {
            return Err("found \"header\": \"cookie\"; expected {\"cookie\": …}".to_owned());
        }
        let prefix = prefix.unwrap_or_else(|| match name.as_str() {
            AUTHORIZATION => BEARER.to_owned(),
            _ => String::new(),
        });
        let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if !prefix.bytes().all(is_visible) || prefix.starts_with(' ') {
            return Err(format!(
                "found \"prefix\": {prefix:?}; expected visible ASCII, with blanks but not at the beginning"
            ));
        }
        Ok(Self::Header {
            bytes: Bytes::copy_from_slice(name.as_str().as_bytes()),
            name,
            prefix: prefix.to_ascii_lowercase(),
        })
    }

    /// The name of the header; `None` for a cookie or a parameter.
    pub(super) fn header_name(&self) -> Option<&str> {
        match self {
            Self::Header { name, .. } => Some(name.as_str()),
            Self::Cookie(_) | Self::Query(_) => None,
        }
    }

    /// Looks for a token.
    pub(super) fn find<'h>(&self, headers: &'h HeaderMap) -> Result<Search<Cow<'h, [u8]>>, Reason> {
        let (token, is_like) = match self {
            Self::Header { name, prefix, .. } => {
                // One look at all headers; nearly always, there is one line.
                let spelled: Few<_> = headers.spellings(name.as_str()).collect();
                let own = || {
                    spelled
                        .iter()
                        .filter(|(own, _)| *own == name.as_str().as_bytes())
                };
                let lines = || own().map(|(_, line)| *line);
                let mut tokens = lines().map(|line| after(prefix, line));
                let token = tokens.next().flatten();
                if tokens.any(|other| other != token) {
                    return Err(Reason::SeveralTokens);
                }
                let token = token.map(Cow::Borrowed);
                let is_like = lookalike::in_other_headers(&spelled, name.as_str())
                    || (token.is_none() && lines().any(|line| lookalike::in_line(line, prefix)));
                (token, is_like)
            }
            Self::Cookie(name) => {
                let values = cookie::values(headers, name.as_str());
                let token = only(values.map(Cow::Borrowed))?;
                (token, lookalike::in_cookies(headers, name.as_str()))
            }
            Self::Query(name) => {
                let token = only(query::values(headers, name.as_str()))?;
                (token, lookalike::in_query(headers, name.as_str()))
            }
        };
        match (token, is_like) {
            (Some(_), true) => Err(Reason::NotAToken),
            (Some(token), false) => Ok(Search::Found(token)),
            (None, true) => Ok(Search::Lookalike),
            (None, false) => Ok(Search::Nothing),
        }
    }

    /// Removes the token. Everything else stays as it is, byte by byte.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        match self {
            Self::Header { bytes, .. } => {
                headers.remove(bytes.clone());
            }
            Self::Cookie(name) => {
                let without = |line: &Bytes| without_cookie(line, name.as_str());
                let lines: Vec<Bytes> = headers.get_all("cookie").filter_map(without).collect();
                match lines.len() {
                    0 => drop(headers.remove(COOKIE)),
                    _ => headers.set_lines(COOKIE, lines),
                }
            }
            Self::Query(name) => {
                if let Some(path) = headers.value(":path") {
                    let path = without_parameter(path, name.as_str());
                    headers.set(PATH, path.into());
                }
            }
        }
    }
}

/// The text after the prefix, unless it is empty.
fn after<'l>(prefix: &str, line: &'l [u8]) -> Option<&'l [u8]> {
    let (start, rest) = line.split_at_checked(prefix.len())?;
    let token = rest.trim_ascii();
    (start.eq_ignore_ascii_case(prefix.as_bytes()) && !token.is_empty()).then_some(token)
}

/// The only value that is not empty, possibly repeated.
fn only<'h>(values: impl Iterator<Item = Cow<'h, [u8]>>) -> Result<Option<Cow<'h, [u8]>>, Reason> {
    let mut tokens = values.filter(|value| !value.is_empty());
    let token = tokens.next();
    match tokens.all(|other| Some(&other) == token.as_ref()) {
        true => Ok(token),
        false => Err(Reason::SeveralTokens),
    }
}

/// A line without the cookies of this name; `None` if nothing is left.
fn without_cookie(line: &Bytes, name: &str) -> Option<Bytes> {
    let cookies = || line.split(|byte| *byte == b';');
    if !cookies().any(|cookie| cookie::is_named(cookie, name)) {
        return Some(line.clone());
    }
    let others: Vec<&[u8]> = cookies()
        .filter(|cookie| !cookie::is_named(cookie, name))
        .collect();
    let line = others.join(&b';').trim_ascii_start().to_vec();
    (!line.is_empty()).then(|| line.into())
}

/// A `:path` without the parameters of this name in its query.
fn without_parameter(path: &[u8], name: &str) -> Vec<u8> {
    let end = path.iter().position(|byte| *byte == b'#');
    let (target, fragment) = path.split_at(end.unwrap_or(path.len()));
    let Some(start) = target.iter().position(|byte| *byte == b'?') else {
        return path.to_vec();
    };
    let (path, query) = target.split_at(start);
    let query = query.strip_prefix(b"?").unwrap_or_default();
    let others: Vec<&[u8]> = query
        .split(|byte| *byte == b'&')
        .filter(|parameter| !query::is_named(parameter, name))
        .collect();
    let mut stripped = path.to_vec();
    if !others.is_empty() {
        stripped.push(b'?');
        stripped.extend(others.join(&b'&'));
    }
    stripped.extend_from_slice(fragment);
    stripped
}
