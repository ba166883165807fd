//! Attributes of the cookies that an upstream sets.
//!
//! The plugin reads a `Set-Cookie` line as browsers do (RFC 6265bis): parts separated by `;`, of which the first is
//! name and value, and the others are attributes with case-insensitive names. Blanks around a part are ignored, and
//! the last of several `SameSite` attributes applies. The plugin only appends to a line, so it loses or moves
//! nothing that the upstream wrote.
//!
//! The name or an attribute of some cookies requires other attributes, and browsers drop the cookie without them
//! (RFC 6265bis, section 4.1.3; CHIPS, section 3.1; the `Http` prefixes are from the draft on layered cookies, and in
//! Chromium since 140):
//!
//! | cookie | needs |
//! |---|---|
//! | `SameSite=None`, `Partitioned`, `__Secure-…` | `Secure` |
//! | `__Host-…` | `Secure`, `Path=/`, no `Domain` |
//! | `__Http-…` | `Secure`, `HttpOnly` |
//! | `__Host-Http-…` | `Secure`, `HttpOnly`, `Path=/`, no `Domain` |
//!
//! The plugin adds those that are missing. A conflicting `Path` or `Domain` of the upstream stays, and so the cookie
//! stays unusable.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use portcullis_core::headers::HeaderMap;

const SET_COOKIE: Bytes = Bytes::from_static(b"set-cookie");

/// Attributes to add to cookies that lack them. Even with `{}`, a cookie gets the attributes without which browsers
/// refuse it: `Secure` with `SameSite=None`, with `Partitioned`, and with a name that starts with `__Secure-`,
/// `__Host-` or `__Http-`; `HttpOnly` with `__Http-` and `__Host-Http-`; `Path=/` with `__Host-`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Cookies {
    /// Add `Secure`: browsers send the cookie over HTTPS only. They do not store such a cookie if it arrives over
    /// plain HTTP. Default: false.
    pub(super) secure: bool,
    /// Add `HttpOnly`: scripts cannot read the cookie. Default: false.
    pub(super) http_only: bool,
    /// Add `SameSite` with this value to cookies without the attribute. Default: add none.
    pub(super) same_site: Option<SameSite>,
    /// Names of cookies to leave unchanged.
    pub(super) except: Vec<CookieName>,
}

/// A value of `SameSite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum SameSite {
    /// Sent only with requests from the site itself.
    Strict,
    /// Sent also when a user follows a link to the site.
    Lax,
    /// Sent with all requests.
    None,
}

impl Cookies {
    /// Adds the missing attributes to each line of `Set-Cookie`. Returns the number of changed lines; if it is 0, the
    /// headers are unchanged.
    pub(super) fn apply(&self, headers: &mut HeaderMap) -> u32 {
        let mut rewritten = 0;
        let lines: Vec<Bytes> = headers
            .get_all("set-cookie")
            .map(|line| match self.rewrite(line) {
                Some(line) => {
                    rewritten += 1;
                    line
                }
                None => line.clone(),
            })
            .collect();
        if rewritten > 0 {
            headers.set_lines(SET_COOKIE, lines);
        }
        rewritten
    }

    /// The line with the missing attributes; `None` if none is missing.
    fn rewrite(&self, line: &[u8]) -> Option<Bytes> {
        let cookie = SetCookie::parse(line);
        if self
            .except
            .iter()
            .any(|except| except.0.as_bytes() == cookie.name)
        {
            return None;
        }
        let add_same_site = self.same_site.filter(|_| cookie.same_site.is_none());
        let is_sent_cross_site = add_same_site == Some(SameSite::None)
            || cookie
                .same_site
                .is_some_and(|value| value.eq_ignore_ascii_case(b"none"));
        let is_of_host = cookie.has_prefix(b"__host-");
        let must_be_http_only = cookie.has_prefix(b"__http-") || cookie.has_prefix(b"__host-http-");
        let must_be_secure = is_sent_cross_site
            || cookie.partitioned
            || is_of_host
            || must_be_http_only
            || cookie.has_prefix(b"__secure-");

        let mut added = BytesMut::new();
        if !cookie.secure && (self.secure || must_be_secure) {
            added.extend_from_slice(b"; Secure");
        }
        if !cookie.http_only && (self.http_only || must_be_http_only) {
            added.extend_from_slice(b"; HttpOnly");
        }
        if !cookie.has_path && is_of_host {
            added.extend_from_slice(b"; Path=/");
        }
        match add_same_site {
            Some(SameSite::Strict) => added.extend_from_slice(b"; SameSite=Strict"),
            Some(SameSite::Lax) => added.extend_from_slice(b"; SameSite=Lax"),
            Some(SameSite::None) => added.extend_from_slice(b"; SameSite=None"),
            None => {}
        }
        (!added.is_empty()).then(|| [line, &added].concat().into())
    }
}

/// Merges two versions of one line of the upstream: the first version, with everything that is stricter in the second.
pub(super) fn strictest(ours: &Bytes, theirs: &Bytes) -> Bytes {
    let (own, other) = (SetCookie::parse(ours), SetCookie::parse(theirs));
    let mut added = BytesMut::new();
    if other.secure && !own.secure {
        added.extend_from_slice(b"; Secure");
    }
    if other.http_only && !own.http_only {
        added.extend_from_slice(b"; HttpOnly");
    }
    if other.has_path && !own.has_path {
        added.extend_from_slice(b"; Path=/");
    }
    // The last attribute applies. Without one, browsers act roughly as for `Lax`.
    match other.reach() {
        reach if reach >= own.reach() => {}
        Reach::Strict => added.extend_from_slice(b"; SameSite=Strict"),
        Reach::Lax | Reach::Default | Reach::None => added.extend_from_slice(b"; SameSite=Lax"),
    }
    match added.is_empty() {
        true => ours.clone(),
        false => [ours, &added[..]].concat().into(),
    }
}

/// The requests that a cookie is sent with, from the fewest to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Strict,
    Lax,
    Default,
    None,
}

/// The relevant parts of a `Set-Cookie` line.
struct SetCookie<'a> {
    name: &'a [u8],
    value: &'a [u8],
    secure: bool,
    http_only: bool,
    partitioned: bool,
    has_path: bool,
    same_site: Option<&'a [u8]>,
}

impl<'a> SetCookie<'a> {
    fn parse(line: &'a [u8]) -> Self {
        let mut parts = line.split(|byte| *byte == b';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = match split_at_equals(pair) {
            (name, Some(value)) => (name, value),
            // Browsers read a pair without `=` as the value of a cookie without a name.
            (value, None) => (&b""[..], value),
        };
        let mut cookie = Self {
            name,
            value,
            secure: false,
            http_only: false,
            partitioned: false,
            has_path: false,
            same_site: None,
        };
        for (name, value) in parts.map(split_at_equals) {
            if name.eq_ignore_ascii_case(b"secure") {
                cookie.secure = true;
            } else if name.eq_ignore_ascii_case(b"httponly") {
                cookie.http_only = true;
            } else if name.eq_ignore_ascii_case(b"partitioned") {
                cookie.partitioned = true;
            } else if name.eq_ignore_ascii_case(b"path") {
                cookie.has_path = true;
            } else if name.eq_ignore_ascii_case(b"samesite") {
                cookie.same_site = Some(value.unwrap_or_default());
            }
        }
        cookie
    }

    fn reach(&self) -> Reach {
        match self.same_site {
            Some(value) if value.eq_ignore_ascii_case(b"strict") => Reach::Strict,
            Some(value) if value.eq_ignore_ascii_case(b"lax") => Reach::Lax,
            Some(value) if value.eq_ignore_ascii_case(b"none") => Reach::None,
            _ => Reach::Default,
        }
    }

    /// Whether the name starts with this prefix (given in lower case), as browsers check it: in any letter case, and
    /// also in the value of a cookie without a name, which they send in the same form.
    fn has_prefix(&self, prefix: &[u8]) -> bool {
        let sent_first = match self.name {
            b"" => self.value,
            name => name,
        };
        sent_first
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

/// The texts before and after the first `=`, without surrounding blanks.
fn split_at_equals(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut halves = part.splitn(2, |byte| *byte == b'=').map(trim_blanks);
    (halves.next().unwrap_or_default(), halves.next())
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().take_while(|byte| is_blank(byte)).count();
    let end = text.iter().rev().take_while(|byte| is_blank(byte)).count();
    text.get(start..text.len().saturating_sub(end))
        .unwrap_or_default()
}

/// The name of a cookie. Letter case matters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
#[serde(try_from = "String")]
pub(super) struct CookieName(String);

impl TryFrom<String> for CookieName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let valid = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'=' | b';'));
        match valid {
            true => Ok(Self(text)),
            false => Err(format!(
                "found {text:?}; expected the name of a cookie: visible ASCII without = or ;"
            )),
        }
    }
}
