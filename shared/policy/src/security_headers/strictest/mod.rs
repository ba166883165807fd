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

/// Makes `response` at least as strict as `other`; both came from `original`.
pub(super) fn join(response: &mut HeaderMap, other: &HeaderMap, original: &HeaderMap) {
    for name in names(response, other) {
        let ours = lines(response, &name);
        let theirs = lines(other, &name);
        if ours == theirs {
            continue;
        }
        let joined = joined(&name, &ours, &theirs, &lines(original, &name));
        write(response, name, &ours, joined);
    }
}

fn joined(name: &[u8], ours: &[Bytes], theirs: &[Bytes], original: &[Bytes]) -> Vec<Bytes> {
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

fn names(response: &HeaderMap, other: &HeaderMap) -> Vec<Bytes> {
    let mut names: Vec<Bytes> = Vec::new();
    for (name, _) in response.iter().chain(other.iter()) {
        if !name.starts_with(b":") && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn lines(headers: &HeaderMap, name: &Bytes) -> Vec<Bytes> {
    let lines = headers.iter().filter(|(other, _)| other == name);
    lines.map(|(_, value)| value.clone()).collect()
}

fn write(response: &mut HeaderMap, name: Bytes, ours: &[Bytes], joined: Vec<Bytes>) {
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
