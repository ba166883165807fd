//! The canonical form of a path.

use std::borrow::Cow;

use crate::readings::percent::{Unit, Units};

/// A path in canonical form. Rules are written in this form, so that another spelling of a path cannot evade them.
///
/// It is the interpretation of the most lenient server: parameters are removed, everything is decoded once, `\` and
/// encoded slashes are slashes, slashes are merged, and dot segments are resolved. In detail:
///
/// - It starts with `/`, has no empty, `.` or `..` segment, and is never longer than the original.
/// - A trailing slash matters: `/a` and `/a/` are different paths. A trailing `.` or `..` segment leaves a slash:
///   `/a/.` and `/a/b/..` become `/a/`.
/// - A path parameter starts at an unencoded `;` and ends at the next unencoded `/` or `\`. It is removed before
///   decoding, as in the servers that support parameters (Tomcat, Jetty, Spring), so an encoded `;` is an ordinary
///   byte. (A guard that decodes before it removes parameters can be evaded with `/admin/%3bx`: CVE-2020-13933.)
/// - An encoded `?`, `#`, `%` or NUL is an ordinary byte, and so is every byte that is not UTF-8.
/// - The form is not always stable under a second round: `/%252e` becomes `/%2e`, and it stays at that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a>(Cow<'a, [u8]>);

impl<'a> CanonicalPath<'a> {
    /// The canonical form of the `:path` of a request. `None` if it is not a path: the `*` of `OPTIONS *`, or the
    /// empty one of CONNECT.
    ///
    /// Borrows a path that needs no rewriting.
    pub fn new(target: &'a [u8]) -> Option<Self> {
        let after_root = target.strip_prefix(b"/")?;
        Some(Self(match plain_part(target) {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(rewrite(after_root)),
        }))
    }

    /// Whether a path is canonical and has no query.
    pub(super) fn is_canonical(path: &[u8]) -> bool {
        plain_part(path).is_some_and(|plain| plain.len() == path.len())
    }

    /// The path as bytes; they need not be UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The target without its query, if it is canonical and every server reads it in the same way. The check is strict: a
/// `%` that encodes nothing also fails it, and so do control characters, spaces, bytes beyond ASCII and fragments,
/// which no legitimate client sends.
pub(super) fn plain_part(target: &[u8]) -> Option<&[u8]> {
    // The number of dots in the current segment; `None` if it contains another byte.
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

/// The canonical form of `/` followed by `after_root`.
fn rewrite(after_root: &[u8]) -> Vec<u8> {
    // Each step writes at most one byte per byte read.
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

/// The rest behind a path parameter, from the separator on.
fn from_separator(parameter: &[u8]) -> &[u8] {
    let end = parameter
        .iter()
        .position(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#'));
    end.and_then(|end| parameter.get(end..)).unwrap_or_default()
}

/// Handles a slash: `path` ends with exactly one.
fn end_segment(path: &mut Vec<u8>) {
    resolve_dots(path);
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
}

/// Removes a final `.` segment, or a final `..` segment with its parent. The path then ends with a slash. Returns
/// false if there is no such segment.
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
