//! The one form in which paths are compared.

use std::borrow::Cow;

use crate::readings::percent::{Unit, Units};

/// A path in canonical form, so that a rule cannot be dodged by another spelling of the path.
///
/// It is the reading of the most lenient server: parameters are cut, everything is decoded once, `\`
/// and encoded slashes are slashes, slashes are merged, dot segments are resolved. Rules are written
/// in this form. The details:
///
/// - It starts with `/`, has no empty, `.` or `..` segment, and is never longer than what it was
///   made from.
/// - A final slash is a difference: `/a` and `/a/` are two paths. A final `.` or `..` segment
///   leaves a slash: `/a/.` is `/a/`, and so is `/a/b/..`.
/// - A path parameter starts at a `;` and ends at the next `/` or `\`, both as written. It is gone
///   before anything is decoded, as in the servers that know parameters (Tomcat, Jetty, Spring), so
///   an encoded `;` is an ordinary byte. (A guard that decodes first and cuts then can be dodged by
///   `/admin/%3bx`: CVE-2020-13933.)
/// - An encoded `?`, `#`, `%` or NUL is an ordinary byte, and so is every byte that is not UTF-8.
/// - The form need not survive a second round: `/%252e` becomes `/%2e` and stays that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a>(Cow<'a, [u8]>);

impl<'a> CanonicalPath<'a> {
    /// The canonical form of the `:path` of a request. None if it is not a path: the `*` of
    /// `OPTIONS *`, or nothing at all in a CONNECT.
    ///
    /// Borrows what needs no rewriting.
    pub fn new(target: &'a [u8]) -> Option<Self> {
        let after_root = target.strip_prefix(b"/")?;
        Some(Self(match plain_part(target) {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(rewrite(after_root)),
        }))
    }

    /// Whether a path is in this form, and without a query.
    pub(super) fn is_canonical(path: &[u8]) -> bool {
        plain_part(path).is_some_and(|plain| plain.len() == path.len())
    }

    /// The path as bytes; they need not be UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The target without its query, if it is in canonical form and no server reads it in another way. A
/// `%` is taken for a reason to doubt it even where it encodes nothing; so are controls, blanks, bytes
/// beyond ASCII and fragments, which no honest client sends.
pub(super) fn plain_part(target: &[u8]) -> Option<&[u8]> {
    // How many dots the current segment consists of; None when it has another byte.
    let mut dots = None;
    let mut length = target.len();
    for (i, byte) in target.iter().enumerate() {
        match byte {
            b'/' if matches!(dots, Some(0..=2)) => return None,
            b'/' => dots = Some(0_usize),
            b'.' => dots = dots.map(|dots| dots + 1),
            0..=b' ' | 0x7f.. | b'%' | b';' | b'\\' | b'#' => return None,
            b'?' => {
                length = i;
                break;
            }
            _ => dots = None,
        }
    }
    match dots {
        Some(1 | 2) => None,
        _ => target.get(..length),
    }
}

/// Writes the canonical form of `/` and `after_root`.
fn rewrite(after_root: &[u8]) -> Vec<u8> {
    // Each step writes at most one byte for each that it reads.
    let mut path = Vec::with_capacity(1 + after_root.len());
    path.push(b'/');
    let mut units = Units::of(after_root);
    while let Some(unit) = units.next() {
        match unit {
            Unit::Plain(b'?' | b'#') => break,
            Unit::Plain(b';') => units = Units::of(from_separator(units.rest())),
            unit => match unit.byte() {
                b'/' | b'\\' => end_segment(&mut path),
                byte => path.push(byte),
            },
        }
    }
    resolve_dots(&mut path);
    path
}

/// What follows a path parameter, from the separator on.
fn from_separator(parameter: &[u8]) -> &[u8] {
    let end = parameter
        .iter()
        .position(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#'));
    end.and_then(|end| parameter.get(end..)).unwrap_or_default()
}

/// A slash was read: `path` is made to end with one, and with one only.
fn end_segment(path: &mut Vec<u8>) {
    resolve_dots(path);
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
}

/// Takes away a last segment that is `.`, or `..` together with its parent. The path then ends with a
/// slash. False if there is no such segment.
pub(super) fn resolve_dots(path: &mut Vec<u8>) -> bool {
    if path.ends_with(b"/.") {
        path.pop();
    } else if let Some(parent) = path.strip_suffix(b"/..") {
        let end = parent.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        path.truncate(end);
        path.push(b'/');
    } else {
        return false;
    }
    true
}
