//! Who may frame a page: one question, and two headers that answer it.
//!
//! Browsers that find `frame-ancestors` in a policy that is enforced do not look at `X-Frame-Options`
//! (HTML, section 7.4.2.4; CSP Level 3, section 6.4.2.2). So a policy of ours could allow again what the
//! upstream forbade in the other header, and in browsers without CSP Level 2 it is the other way round.
//! Both answers are to hold:
//!
//! - The upstream's `X-Frame-Options` stay, and its policies have no `frame-ancestors`: the lists of ours
//!   become `'none'` for `DENY`, and `'self'` for `SAMEORIGIN`; where that may allow more than ours did, and
//!   for `ALLOW-FROM`, one more policy with the upstream's list joins ours.
//! - A policy of the upstream's stays whose `frame-ancestors` allows nobody: `SAMEORIGIN` of ours becomes
//!   `DENY`.

use bytes::Bytes;

use super::lines::lines;
use super::origin::Origin;
use portcullis_core::headers::HeaderMap;

const POLICY: Bytes = Bytes::from_static(b"content-security-policy");
const OPTIONS: Bytes = Bytes::from_static(b"x-frame-options");
const DIRECTIVE: &[u8] = b"frame-ancestors";
const NOBODY: &[u8] = b"'none'";
const OWN_ORIGIN: &[u8] = b"'self'";

/// `X-Frame-Options` as browsers understand it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameOptions {
    /// `DENY`, or values that contradict each other.
    Deny,
    /// `SAMEORIGIN`.
    SameOrigin,
    /// `ALLOW-FROM` with an origin, which browsers no longer know; CSP has taken its place.
    AllowFrom(String),
    /// No value, or one that means nothing.
    Anything,
}

impl FrameOptions {
    /// Reads all lines, as HTML says: a value that is there twice counts once; if several are left, and one
    /// of them means something, nobody may frame the page.
    pub(super) fn of(lines: &[Bytes]) -> Self {
        let members = lines
            .iter()
            .flat_map(|line| line.split(|byte| *byte == b','));
        let mut values: Vec<Vec<u8>> = members
            .map(|member| member.trim_ascii().to_ascii_lowercase())
            .collect();
        values.sort_unstable();
        values.dedup();
        let has_meaning =
            |value: &Vec<u8>| matches!(&value[..], b"deny" | b"sameorigin" | b"allowall");
        match values.as_slice() {
            [] => Self::Anything,
            [value] => match value.as_slice() {
                b"deny" => Self::Deny,
                b"sameorigin" => Self::SameOrigin,
                value => allowed_from(value).map_or(Self::Anything, Self::AllowFrom),
            },
            several if several.iter().any(has_meaning) => Self::Deny,
            _ => Self::Anything,
        }
    }

    /// 0 for the strictest.
    pub(super) fn rank(&self) -> usize {
        match self {
            Self::Deny => 0,
            Self::SameOrigin => 1,
            Self::AllowFrom(_) => 2,
            Self::Anything => 3,
        }
    }

    /// The same as a list of `frame-ancestors`.
    fn ancestors(&self) -> Option<&[u8]> {
        match self {
            Self::Deny => Some(NOBODY),
            Self::SameOrigin => Some(OWN_ORIGIN),
            Self::AllowFrom(origin) => Some(origin.as_bytes()),
            Self::Anything => None,
        }
    }

    /// Whether a list of `frame-ancestors` allows all that these options do, so that they can take its
    /// place. What hosts and schemes include is not known here.
    fn are_within(&self, list: &[&[u8]]) -> bool {
        let is_own = |item: &&[u8]| *item == b"*" || item.eq_ignore_ascii_case(OWN_ORIGIN);
        match self {
            Self::Deny => true,
            Self::SameOrigin => list.iter().any(is_own),
            Self::AllowFrom(_) | Self::Anything => false,
        }
    }
}

/// The origin in a value of `ALLOW-FROM`, which is a URL.
fn allowed_from(value: &[u8]) -> Option<String> {
    let url = std::str::from_utf8(value)
        .ok()?
        .strip_prefix("allow-from ")?;
    let (scheme, rest) = url.trim().split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let origin = Origin::try_from(format!("{scheme}://{host}")).ok()?;
    Some(origin.to_string())
}

/// The upstream's own answers.
#[derive(Debug)]
pub(super) struct UpstreamFraming {
    options: Vec<Bytes>,
    policies: Vec<Bytes>,
}

impl UpstreamFraming {
    /// Notes them before anything is changed.
    pub(super) fn of(response: &HeaderMap) -> Self {
        Self {
            options: lines(response, &OPTIONS),
            policies: lines(response, &POLICY),
        }
    }

    /// Sees to it that what they forbid stays forbidden, unless they were replaced.
    pub(super) fn uphold(&self, response: &mut HeaderMap) {
        if !self.options.is_empty() {
            self.uphold_options(response);
        }
        if !self.policies.is_empty() {
            self.uphold_policies(response);
        }
    }

    fn uphold_options(&self, response: &mut HeaderMap) {
        if !lines(response, &OPTIONS).starts_with(&self.options) {
            return;
        }
        let options = FrameOptions::of(&self.options);
        let Some(list) = options.ancestors() else {
            return;
        };
        let policies = lines(response, &POLICY);
        let is_theirs = |line: &Bytes| self.policies.contains(line);
        let answers = |line: &Bytes| has_ancestors(line);
        if policies.iter().filter(|line| is_theirs(line)).any(answers) {
            return;
        }
        let mut is_within = true;
        let mut narrowed: Vec<Bytes> = policies
            .iter()
            .map(|line| {
                let (line, within) = narrow(line, &options, list);
                is_within &= within;
                line
            })
            .collect();
        if !is_within {
            narrowed.push([DIRECTIVE, b" ", list].concat().into());
        }
        match narrowed.as_slice() {
            _ if narrowed == policies => {}
            [policy] => response.set(POLICY, policy.clone()),
            _ => response.set_lines(POLICY, narrowed),
        }
    }

    fn uphold_policies(&self, response: &mut HeaderMap) {
        let options = lines(response, &OPTIONS);
        if options == self.options || FrameOptions::of(&options) != FrameOptions::SameOrigin {
            return;
        }
        let policies = lines(response, &POLICY);
        let allows_nobody = |line: &&Bytes| {
            let mut lists = line.split(is_comma).filter_map(ancestors);
            lists.any(|list| is_nobody(&list))
        };
        let mut theirs = policies.iter().filter(|line| self.policies.contains(line));
        if theirs.any(|line| allows_nobody(&line)) {
            response.set(OPTIONS, Bytes::from_static(b"DENY"));
        }
    }
}

/// The policies of a line with a list in place of theirs, and whether that allows no more than they did.
/// A list that allows nobody stays.
fn narrow(line: &Bytes, options: &FrameOptions, list: &[u8]) -> (Bytes, bool) {
    let mut is_within = true;
    let mut narrowed = Vec::new();
    for policy in line.split(is_comma) {
        let mut policy = policy.to_vec();
        if let Some(own) = ancestors(&policy)
            && !is_nobody(&own)
        {
            match options.are_within(&own) {
                true => policy = with_ancestors(&policy, list),
                false => is_within = false,
            }
        }
        narrowed.push(policy);
    }
    (narrowed.join(&b","[..]).into(), is_within)
}

/// The policy with another list in its directive, the first one of that name.
fn with_ancestors(policy: &[u8], list: &[u8]) -> Vec<u8> {
    let mut is_done = false;
    let directives: Vec<Vec<u8>> = policy
        .split(is_semicolon)
        .map(|directive| {
            if is_done || items(directive).is_none() {
                return directive.to_vec();
            }
            is_done = true;
            let blank = directive.len() - directive.trim_ascii_start().len();
            let blank = directive.get(..blank).unwrap_or_default();
            [blank, DIRECTIVE, b" ", list].concat()
        })
        .collect();
    directives.join(&b";"[..])
}

fn has_ancestors(line: &[u8]) -> bool {
    line.split(is_comma)
        .any(|policy| ancestors(policy).is_some())
}

/// The list of `frame-ancestors` in a policy. Of several directives of one name the first counts.
fn ancestors(policy: &[u8]) -> Option<Vec<&[u8]>> {
    policy.split(is_semicolon).find_map(items)
}

/// The items of the directive if it is this one.
fn items(directive: &[u8]) -> Option<Vec<&[u8]>> {
    let mut words = directive
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let is_this = words.next()?.eq_ignore_ascii_case(DIRECTIVE);
    is_this.then(|| words.collect())
}

fn is_nobody(list: &[&[u8]]) -> bool {
    list.iter().all(|item| item.eq_ignore_ascii_case(NOBODY))
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

fn is_semicolon(byte: &u8) -> bool {
    *byte == b';'
}
