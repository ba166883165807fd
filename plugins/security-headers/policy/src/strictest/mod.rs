//! The strictest combination of the headers that several rules give one response.
//!
//! If several rules possibly fit a request, each header of its response is at least as strict as each of these rules
//! would make it:
//!
//! | header | result if two differ |
//! |---|---|
//! | `content-security-policy`, also report-only | both: browsers enforce each policy |
//! | `strict-transport-security` | the longer `max-age`, `includeSubDomains` and `preload` if either has them |
//! | `permissions-policy` | the shorter list of each feature |
//! | `cache-control` | `no-store`; otherwise `private` and `no-cache` if either has them; permission to store and reuse only if both have it |
//! | `set-cookie` | every attribute that either adds, and the stricter `SameSite` |
//! | those in [`scale`] | the value that is first on its scale |
//! | headers that allow something: `access-control-*` and others in [`is_grant`] | lines that both have |
//! | any other | the change of the certain rule; without one, a change that adds lines or removes the header |
//!
//! Absence counts as a value: it is stricter than `referrer-policy: unsafe-url`.

mod cache_control;
mod hsts;
mod permissions_policy;
mod scale;

pub(super) use permissions_policy::join as join_permissions;

use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;

use super::cookies;
use super::frame_ancestors::FrameOptions;
use portcullis_core::headers::HeaderMap;

/// Makes `ours` at least as strict as `theirs`; both came from `original`.
pub(super) fn join(ours: &mut HeaderLines, theirs: &HeaderLines, original: &HeaderLines) {
    let stricter: Vec<(Bytes, Vec<Bytes>)> = pairs(ours, theirs)
        .filter(|(_, own, other)| !are_same(own, other))
        .filter_map(|(name, own, other)| {
            let lines = stricter(name, own, other, original)?;
            (!are_same(&lines, own)).then(|| (name.clone(), lines))
        })
        .collect();
    for (name, lines) in stricter {
        ours.set(&name, lines);
    }
}

/// Changes a response from the lines of `before` to those of `after`, with one change for each header that differs.
pub(super) fn write(before: &HeaderLines, after: &HeaderLines, response: &mut HeaderMap) {
    for (name, before, after) in pairs(before, after) {
        if !are_same(before, after) {
            write_header(response, name.clone(), before, after.to_vec());
        }
    }
}

/// The lines of all headers but the pseudo-headers, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderLines {
    names: Vec<Bytes>,
    /// The value of each line, in the order of `names`.
    values: Vec<Bytes>,
}

impl HeaderLines {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut lines = Vec::with_capacity(headers.entries().len());
        let entries = headers.entries();
        lines.extend(entries.filter(|(name, _)| !name.starts_with(b":")));
        // The sort is stable, so the lines of a header keep their order.
        lines.sort_by(|(left, _), (right, _)| order(left, right));
        Self {
            names: lines.iter().map(|(name, _)| (*name).clone()).collect(),
            values: lines.iter().map(|(_, value)| (*value).clone()).collect(),
        }
    }

    /// The lines of one header.
    fn get(&self, name: &Bytes) -> &[Bytes] {
        self.values.get(self.range(name)).unwrap_or_default()
    }

    fn set(&mut self, name: &Bytes, lines: Vec<Bytes>) {
        let range = self.range(name);
        self.names
            .splice(range.clone(), lines.iter().map(|_| name.clone()));
        self.values.splice(range, lines);
    }

    /// The range of a header's lines; empty, at their place, if there are none.
    fn range(&self, name: &Bytes) -> Range<usize> {
        let begin = self
            .names
            .partition_point(|other| order(other, name).is_lt());
        match self.names.get(begin) {
            Some(other) if order(other, name).is_eq() => begin..self.end_of(begin),
            _ => begin..begin,
        }
    }

    /// The end of the lines of the header whose lines begin at `begin`.
    fn end_of(&self, begin: usize) -> usize {
        let names = self.names.get(begin..).unwrap_or_default();
        let Some(first) = names.first() else {
            return begin;
        };
        let same = names.iter().take_while(|name| order(name, first).is_eq());
        begin + same.count()
    }
}

/// The order of names. Any total order works; this one needs only the length for most pairs.
fn order(left: &Bytes, right: &Bytes) -> Ordering {
    let by_length = left.len().cmp(&right.len());
    by_length.then_with(|| match left.as_ptr() == right.as_ptr() {
        true => Ordering::Equal,
        false => left.cmp(right),
    })
}

/// Whether lines are equal. The values of two rules mostly share memory, so comparing the pointers is enough.
fn are_same(left: &[Bytes], right: &[Bytes]) -> bool {
    let is_same = |(left, right)| order(left, right).is_eq();
    left.len() == right.len() && left.iter().zip(right).all(is_same)
}

/// Each name that occurs on either side, with the lines of both sides.
fn pairs<'a>(
    left: &'a HeaderLines,
    right: &'a HeaderLines,
) -> impl Iterator<Item = (&'a Bytes, &'a [Bytes], &'a [Bytes])> {
    let (mut own, mut other) = (0, 0);
    std::iter::from_fn(move || {
        let order = match (left.names.get(own), right.names.get(other)) {
            (Some(left), Some(right)) => order(left, right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let take = |lines: &'a HeaderLines, at: &mut usize, is_next: bool| {
            let begin = *at;
            if is_next {
                *at = lines.end_of(begin);
            }
            lines.values.get(begin..*at).unwrap_or_default()
        };
        let name = match order {
            Ordering::Greater => right.names.get(other)?,
            Ordering::Less | Ordering::Equal => left.names.get(own)?,
        };
        let ours = take(left, &mut own, order.is_le());
        let theirs = take(right, &mut other, order.is_ge());
        Some((name, ours, theirs))
    })
}

/// Lines of a header at least as strict as both; `None` if those are `ours`.
fn stricter(
    header: &Bytes,
    ours: &[Bytes],
    theirs: &[Bytes],
    original: &HeaderLines,
) -> Option<Vec<Bytes>> {
    Some(match &header[..] {
        b"content-security-policy" | b"content-security-policy-report-only" => union(ours, theirs),
        b"strict-transport-security" => hsts::join(ours, theirs),
        b"permissions-policy" => permissions_policy::join(ours, theirs),
        b"cache-control" => cache_control::join(ours, theirs),
        b"set-cookie" => set_cookie(ours, theirs),
        b"x-frame-options" => {
            return stricter_on_scale(ours, theirs, |lines| FrameOptions::of(lines).rank());
        }
        name if is_grant(name) => intersection(ours, theirs),
        name => match scale::of(name) {
            Some(scale) => return stricter_on_scale(ours, theirs, |lines| scale.rank(lines)),
            None => return merged(ours, theirs, original.get(header)),
        },
    })
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

/// Whether the header allows something that is forbidden by default.
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

fn intersection(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let common = ours.iter().filter(|line| theirs.contains(line));
    common.cloned().collect()
}

fn stricter_on_scale(
    ours: &[Bytes],
    theirs: &[Bytes],
    rank: impl Fn(&[Bytes]) -> usize,
) -> Option<Vec<Bytes>> {
    (rank(theirs) < rank(ours)).then(|| theirs.to_vec())
}

/// Rules only add attributes to cookies, so both sides have the same number of lines.
fn set_cookie(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let pairs = ours.iter().zip(theirs);
    pairs
        .map(|(ours, theirs)| cookies::strictest(ours, theirs))
        .collect()
}

fn merged(ours: &[Bytes], theirs: &[Bytes], original: &[Bytes]) -> Option<Vec<Bytes>> {
    if ours != original {
        return None;
    }
    match theirs.strip_prefix(original) {
        Some(added) => Some(union(ours, added)),
        None => theirs.is_empty().then(Vec::new),
    }
}
