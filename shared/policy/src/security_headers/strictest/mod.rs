//! The strictest of two responses that one upstream's answer may become.
//!
//! A request that possibly falls under several rules gets a response that protects at least as much as each
//! of these rules would have it:
//!
//! | header | of two that differ |
//! |---|---|
//! | `content-security-policy`, also report-only | both: browsers enforce each policy |
//! | `strict-transport-security` | the longer `max-age`, `includeSubDomains` and `preload` if either has them |
//! | `permissions-policy` | of each feature the shorter list |
//! | `cache-control` | `no-store`; otherwise `private` and `no-cache` if either has them; what allows to store and reuse only if both do |
//! | `set-cookie` | every attribute that either adds, and the stricter `SameSite` |
//! | those in [`scale`] | the one that stands first on its scale |
//! | what allows something: `access-control-*` and others in [`is_grant`] | lines that both have |
//! | any other | the change by the rule that is certain, or else one that adds lines or removes the header |
//!
//! Absence is a value too: it is stricter than `referrer-policy: unsafe-url`.

mod cache_control;
mod hsts;
mod permissions_policy;
mod scale;

pub(super) use permissions_policy::join as join_permissions;

use bytes::Bytes;

use super::cookies;
use super::framing::FrameOptions;
use crate::headers::HeaderMap;

/// Makes `ours` at least as strict as `theirs`; both came from `original`.
pub(super) fn join(ours: &mut Lines, theirs: &Lines, original: &Lines) {
    if ours == theirs {
        return;
    }
    let mut joined = Vec::with_capacity(ours.0.len() + theirs.0.len());
    for (name, own, other) in pairs(ours, theirs) {
        if own == other {
            joined.extend_from_slice(own);
        } else {
            let original = values(original.get(name));
            let lines = joined_lines(name, &values(own), &values(other), &original);
            joined.extend(lines.into_iter().map(|line| (name.clone(), line)));
        }
    }
    ours.0 = joined;
}

/// Gives a response these lines, with one change for each header that has others.
pub(super) fn write(lines: &Lines, response: &mut HeaderMap) {
    let before = Lines::of(response);
    for (name, before, after) in pairs(&before, lines) {
        if before != after {
            write_header(response, name.clone(), &values(before), values(after));
        }
    }
}

/// The lines of all headers but the pseudo-headers, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines(Vec<Line>);

type Line = (Bytes, Bytes);

impl Lines {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.iter().filter(|(name, _)| !name.starts_with(b":"));
        let mut lines: Vec<Line> = lines.cloned().collect();
        // Stable, so that the lines of a header stay in their order.
        lines.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self(lines)
    }

    /// The lines of one header.
    fn get(&self, name: &Bytes) -> &[Line] {
        let begin = self.0.partition_point(|(other, _)| other < name);
        let rest = self.0.get(begin..).unwrap_or_default();
        let length = rest.partition_point(|(other, _)| other == name);
        rest.get(..length).unwrap_or_default()
    }
}

/// Each name that either has, with the lines of both.
fn pairs<'a>(
    left: &'a Lines,
    right: &'a Lines,
) -> impl Iterator<Item = (&'a Bytes, &'a [Line], &'a [Line])> {
    let groups = |lines: &'a Lines| {
        let groups = lines.0.chunk_by(|(left, _), (right, _)| left == right);
        groups
            .filter_map(|lines| Some((&lines.first()?.0, lines)))
            .peekable()
    };
    let (mut left, mut right) = (groups(left), groups(right));
    std::iter::from_fn(move || {
        let name = match (left.peek(), right.peek()) {
            (Some((left, _)), Some((right, _))) => (*left).min(*right),
            (Some((name, _)), None) | (None, Some((name, _))) => *name,
            (None, None) => return None,
        };
        let ours = left.next_if(|(other, _)| *other == name);
        let theirs = right.next_if(|(other, _)| *other == name);
        let lines = |group: Option<(&Bytes, &'a [Line])>| group.map_or(&[][..], |(_, lines)| lines);
        Some((name, lines(ours), lines(theirs)))
    })
}

fn values(lines: &[Line]) -> Vec<Bytes> {
    lines.iter().map(|(_, value)| value.clone()).collect()
}

fn joined_lines(name: &[u8], ours: &[Bytes], theirs: &[Bytes], original: &[Bytes]) -> Vec<Bytes> {
    match name {
        b"content-security-policy" | b"content-security-policy-report-only" => union(ours, theirs),
        b"strict-transport-security" => hsts::join(ours, theirs),
        b"permissions-policy" => permissions_policy::join(ours, theirs),
        b"cache-control" => cache_control::join(ours, theirs),
        b"set-cookie" => set_cookie(ours, theirs),
        b"x-frame-options" => first_on_scale(ours, theirs, |lines| FrameOptions::of(lines).rank()),
        name if is_grant(name) => both(ours, theirs),
        name => match scale::of(name) {
            Some(scale) => first_on_scale(ours, theirs, |lines| scale.rank(lines)),
            None => merged(ours, theirs, original),
        },
    }
}

fn write_header(response: &mut HeaderMap, name: Bytes, ours: &[Bytes], joined: Vec<Bytes>) {
    if let Some(added) = joined.strip_prefix(ours) {
        for line in added {
            response.append(name.clone(), line.clone());
        }
        return;
    }
    match joined.as_slice() {
        [] => {
            response.remove(name);
        }
        [line] => response.set(name, line.clone()),
        _ => response.set_lines(name, joined),
    }
}

/// Whether the header allows something that is forbidden without it.
fn is_grant(name: &[u8]) -> bool {
    let is_one = |name: &[u8]| {
        matches!(
            name,
            b"activate-storage-access"
                | b"cdn-cache-control"
                | b"expires"
                | b"service-worker-allowed"
                | b"surrogate-control"
                | b"timing-allow-origin"
        )
    };
    name.starts_with(b"access-control-") || is_one(name)
}

fn union(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let more = theirs.iter().filter(|line| !ours.contains(line));
    ours.iter().chain(more).cloned().collect()
}

fn both(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let common = ours.iter().filter(|line| theirs.contains(line));
    common.cloned().collect()
}

fn first_on_scale(
    ours: &[Bytes],
    theirs: &[Bytes],
    rank: impl Fn(&[Bytes]) -> usize,
) -> Vec<Bytes> {
    match rank(theirs) < rank(ours) {
        true => theirs.to_vec(),
        false => ours.to_vec(),
    }
}

/// A rule gives attributes to cookies, and neither adds nor removes one.
fn set_cookie(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let pairs = ours.iter().zip(theirs);
    pairs
        .map(|(ours, theirs)| cookies::strictest(ours, theirs))
        .collect()
}

fn merged(ours: &[Bytes], theirs: &[Bytes], original: &[Bytes]) -> Vec<Bytes> {
    if ours != original {
        return ours.to_vec();
    }
    match theirs.strip_prefix(original) {
        Some(added) => union(ours, added),
        None if theirs.is_empty() => Vec::new(),
        None => ours.to_vec(),
    }
}
