//! Path variants: all paths that servers may find in one `:path`.
//!
//! # Steps
//!
//! A server takes several steps from the bytes of a request to the path that selects a handler. Servers differ in
//! which steps they take. A variant is the result of one choice for each step:
//!
//! | step | choices | servers |
//! |---|---|---|
//! | slashes at the beginning | kept; one; `//host` is an authority | one: wsgiref. Authority: WHATWG `new URL(req.url, base)` in Node, Python `urlsplit` |
//! | dot segments are resolved before decoding | no; yes | yes: WHATWG URL, gateways in front of the server |
//! | `;` starts a parameter | no; up to the next slash; up to the end; before or after decoding | no: Express 4 and 5, Flask 3, Starlette. Up to the slash, before: Tomcat, Jetty, Spring. After: Shiro before 1.6 (CVE-2020-13933). To the end: Shiro, Python `urlparse` |
//! | decoding | none; once, `%2f` and `%5c` left as they are; once; twice | none: the router of Express. Once, slashes left: Apache with `AllowEncodedSlashes NoDecode`, Envoy's `normalize_path`. Once: nginx, gunicorn, uvicorn, wsgiref. Twice: applications that decode `PATH_INFO` again, Apache 2.4.50 (CVE-2021-42013) |
//! | a decoded `?` or `#` ends the path | no; yes | yes: rewriters that parse the decoded path again |
//! | `\` is a slash | no; yes | yes: WHATWG URL, IIS, .NET |
//! | repeated slashes count as one | no; before dots are resolved; after that | yes: nginx, Apache, Tomcat, Flask (by a redirect). No: Express, Starlette |
//! | dot segments are resolved | no; yes | yes: nginx, Apache, Tomcat. No: Express, Flask on gunicorn, Starlette on uvicorn, wsgiref |
//!
//! [`Paths`] is the set of variants that result from all combinations of choices. A plain path (without `%`, `;`,
//! `\`, `//` and dot segments) has one variant, itself; finding that out takes one scan. An encoding of a byte that a
//! path can contain only in encoded form (`%20`, `%C3%A9`) leaves no choice: every variant has it decoded.
//!
//! A header can replace the path: gunicorn (22 and later, by default from a proxy on the same host), and other
//! servers that convert header names as CGI does, trust a client's `SCRIPT_NAME` and `PATH_INFO`. With one of these
//! headers, in any [spelling](super::is_spelling_of), the path has too many variants.
//!
//! Letter case and a trailing slash, which Express ignores and other servers do not, make no variants. The
//! [conditions](crate::matcher) on a path take care of them.
//!
//! # Bounds
//!
//! At most [`MAX_CHOICES`] combinations are computed, and all of them together process at most [`MAX_WORK`] bytes. A
//! path beyond these bounds has **too many** variants. So does a path with a spelling that only an attacker sends:
//! overlong UTF-8, `%u002f`, three layers of encoding, control characters (`%00`, where C ends a text; `%0a`, which
//! Starlette's routes ignore at the end), raw spaces and bytes beyond ASCII (`0xa0`, which wsgiref strips), encoded
//! bytes that are not UTF-8 (Bottle drops them), and a fragment. Every condition is a possible match of such a path,
//! and none is a certain match.
//!
//! # Not covered
//!
//! Peculiarities of file systems: a trailing dot or space, `::$DATA`, short names, Unicode normalisation.

mod canonical;
mod choices;
mod pipeline;
#[cfg(any(test, feature = "servers"))]
pub mod servers;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::is_spelling_of;
use crate::headers::HeaderMap;

pub use canonical::CanonicalPath;
use choices::{Choices, Scan};

/// The highest number of combinations of choices. Each kind of spelling alone needs at most 24. All kinds together
/// would need a thousand, but only an attacker combines them.
pub const MAX_CHOICES: usize = 64;

/// The highest number of bytes that all combinations together process. It keeps the cost of the most expensive path
/// below that of a few plain requests (`make bench BENCH_ARGS="--only hostile"`).
pub const MAX_WORK: usize = 8 * 1024;

/// All variants of the path of a request, without the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths<'a>(Kind<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind<'a> {
    One(Cow<'a, [u8]>),
    /// Two or more; the first is the path as sent.
    Several(Vec<Vec<u8>>),
    TooMany,
}

/// Headers that some servers use as a part of the path.
const MOVING: [&str; 2] = ["script-name", "path-info"];

impl<'a> Paths<'a> {
    /// The variants of the path of a request with these headers.
    pub fn of_request(headers: &'a HeaderMap) -> Option<Self> {
        let paths = Self::of(headers.value(":path").unwrap_or_default())?;
        let is_moving = |name: &[u8]| MOVING.iter().any(|moving| is_spelling_of(name, moving));
        Some(match headers.iter().any(|(name, _)| is_moving(name)) {
            true => Self(Kind::TooMany),
            false => paths,
        })
    }

    /// The variants of a `:path`. `None` if it is not a path: the empty one of CONNECT, or the `*` of `OPTIONS *`.
    pub fn of(target: &'a [u8]) -> Option<Self> {
        match target {
            b"" | b"*" => return None,
            [b'/', ..] => {}
            _ => return Some(Self(Kind::TooMany)),
        }
        let kind = match choices::scan(target) {
            Scan::Plain(path) => Kind::One(Cow::Borrowed(path)),
            Scan::Encoded(path) => {
                let path = pipeline::decode_benign(path);
                match std::str::from_utf8(&path) {
                    Ok(_) => Kind::One(path.into()),
                    Err(_) => Kind::TooMany,
                }
            }
            Scan::Choices(path) => Self::read(path),
            Scan::TooMany => Kind::TooMany,
        };
        Some(Self(kind))
    }

    fn read(path: &[u8]) -> Kind<'a> {
        let Some(choices) = Choices::of(path) else {
            return Kind::TooMany;
        };
        let mut readings: Vec<Vec<u8>> = Vec::new();
        for choice in choices.combinations() {
            let reading = pipeline::read(path, choice);
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        match readings.len() {
            1 => Kind::One(readings.pop().unwrap_or_default().into()),
            _ => Kind::Several(readings),
        }
    }

    /// The variants. Empty if there are [too many](Self::has_too_many).
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (one, several) = match &self.0 {
            Kind::One(path) => (Some(&path[..]), &[][..]),
            Kind::Several(paths) => (None, &paths[..]),
            Kind::TooMany => (None, &[][..]),
        };
        one.into_iter().chain(several.iter().map(Vec::as_slice))
    }

    /// The only variant, if there is just one.
    pub fn only(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::One(path) => Some(path),
            Kind::Several(_) | Kind::TooMany => None,
        }
    }

    /// Whether there are more variants than are computed.
    pub fn has_too_many(&self) -> bool {
        self.0 == Kind::TooMany
    }

    /// One value for all spellings of a path, for counting requests. `None` if the variants lead to different values.
    ///
    /// The value is the [canonical form](CanonicalPath) of the canonical form, so that it does not depend on steps
    /// that a server leaves out, in lower case and without a trailing slash. If a server reads two requests as the
    /// same path and both have a value, the values are equal.
    pub fn key(&self) -> Option<Cow<'_, [u8]>> {
        let mut keys = self.iter().map(key);
        let first = keys.next()?;
        keys.all(|key| key == first).then_some(first)
    }
}

fn key(reading: &[u8]) -> Cow<'_, [u8]> {
    let is_final = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'%';
    if CanonicalPath::is_canonical(reading) && !reading.iter().any(is_final) {
        return Cow::Borrowed(without_final_slash(reading));
    }
    let mut path = reading.to_vec();
    for _ in 0..2 {
        if let Some(canonical) = CanonicalPath::new(&path) {
            path = canonical.as_bytes().to_vec();
        }
    }
    path.make_ascii_lowercase();
    without_final_slash(&path).to_vec().into()
}

/// The path without its trailing slash; the root keeps it.
pub fn without_final_slash(path: &[u8]) -> &[u8] {
    match path {
        [start @ .., b'/'] if !start.is_empty() => start,
        path => path,
    }
}
