//! The paths that servers read in one `:path`.
//!
//! # Steps, and who takes them
//!
//! Between the bytes of a request and the handler that runs there are steps, which servers take or
//! leave out. A reading is one choice for each of them:
//!
//! | step | choices | taken by |
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
//! [`Paths`] is the set of paths that come of all choices together. A plain path, one without `%`, `;`,
//! `\`, `//` or dot segments, is the only reading of itself, which takes one look at each of its bytes.
//! An encoding of a byte that a path cannot hold otherwise (`%20`, `%C3%A9`) is no choice: it is
//! decoded in every reading.
//!
//! A header can move the path: gunicorn (22 and later, by default from a proxy on the same host), and
//! servers before it that take header names as CGI does, believe a client's `SCRIPT_NAME` and
//! `PATH_INFO`. With one of them, in any [spelling](super::is_spelling_of), a path is countless.
//!
//! Two differences are not readings but belong to the [conditions](crate::matcher) that look at a path:
//! letter case and a final slash, which Express ignores and others do not.
//!
//! # Bounds
//!
//! A request is read in at most [`MAX_CHOICES`] ways, and all of them together touch at most
//! [`MAX_WORK`] bytes. A path beyond that is **countless**, and so is one with a spelling that only an
//! attacker sends: overlong UTF-8, `%u002f`, three layers of encoding, controls (`%00`, where C ends a
//! text; `%0a`, which Starlette's routes overlook at the end), raw blanks and bytes beyond ASCII (`0xa0`,
//! which wsgiref strips), encoded bytes that are not UTF-8 (Bottle drops them), a fragment.
//! Of a countless path a condition may always hold, and never for certain.
//!
//! # Not read
//!
//! What one kind of file system adds: a final dot or blank, `::$DATA`, short names, Unicode
//! normalisation.

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

/// The most combinations of choices that are tried. Each kind of spelling alone needs 24 at most;
/// together they come to a thousand, and nobody sends them together but to find a gap.
pub const MAX_CHOICES: usize = 64;

/// The most bytes that all readings together are made from. It keeps the dearest path below the cost
/// of a few plain requests (`make bench BENCH_ARGS="--only hostile"`).
pub const MAX_WORK: usize = 8 * 1024;

/// All readings of the path of a request, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths<'a>(Kind<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind<'a> {
    One(Cow<'a, [u8]>),
    /// Two or more, the path as sent first.
    Several(Vec<Vec<u8>>),
    TooMany,
}

/// Headers that some servers take for a part of the path.
const MOVING: [&str; 2] = ["script-name", "path-info"];

impl<'a> Paths<'a> {
    /// The readings of the path of a request with these headers.
    pub fn of_request(headers: &'a HeaderMap) -> Option<Self> {
        let paths = Self::of(headers.get(":path").map_or(&b""[..], |path| path))?;
        let is_moving = |name: &[u8]| MOVING.iter().any(|moving| is_spelling_of(name, moving));
        Some(match headers.iter().any(|(name, _)| is_moving(name)) {
            true => Self(Kind::TooMany),
            false => paths,
        })
    }

    /// The readings of a `:path`. `None` if there is none: nothing at all in a CONNECT, or the `*` of
    /// `OPTIONS *`.
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

    /// The readings; none if the path is countless.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (one, several) = match &self.0 {
            Kind::One(path) => (Some(&path[..]), &[][..]),
            Kind::Several(paths) => (None, &paths[..]),
            Kind::TooMany => (None, &[][..]),
        };
        one.into_iter().chain(several.iter().map(Vec::as_slice))
    }

    /// The only reading, if there is one only.
    pub fn only(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::One(path) => Some(path),
            Kind::Several(_) | Kind::TooMany => None,
        }
    }

    /// Whether there are more readings than are looked at.
    pub fn has_too_many(&self) -> bool {
        self.0 == Kind::TooMany
    }

    /// One value for all spellings of a path, to count requests by. `None` if the readings lead to
    /// different values.
    ///
    /// It is the [canonical form](CanonicalPath) of the canonical form, so that it does not change with
    /// what a server leaves undone, in lower case and without a final slash. If a server reads two
    /// requests as the same path, and both have a value, it is the same value.
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

/// The path without its final slash; the root keeps it.
pub fn without_final_slash(path: &[u8]) -> &[u8] {
    match path {
        [start @ .., b'/'] if !start.is_empty() => start,
        path => path,
    }
}
