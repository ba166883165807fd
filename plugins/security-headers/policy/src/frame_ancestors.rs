//! The two headers that control who may frame a page.
//!
//! Browsers that find `frame-ancestors` in an enforced policy ignore `X-Frame-Options` (HTML, section 7.4.2.4; CSP
//! Level 3, section 6.4.2.2). So the plugin's policy could allow what the upstream forbids in `X-Frame-Options`. In
//! browsers without CSP Level 2, it is the other way round. Both headers must hold:
//!
//! - If the upstream's `X-Frame-Options` stays, and its policies have no `frame-ancestors`, the plugin's lists become
//!   `'none'` for `DENY`, and `'self'` for `SAMEORIGIN`. If that could allow more than the plugin's list, and for
//!   `ALLOW-FROM`, the plugin adds one more policy with the upstream's list.
//! - If a policy of the upstream stays whose `frame-ancestors` allows nobody, the plugin's `SAMEORIGIN` becomes `DENY`.

use bytes::Bytes;

use super::lines::lines;
use super::origin::Origin;
use portcullis_core::headers::HeaderMap;

const POLICY: Bytes = Bytes::from_static(b"content-security-policy");

/// The headers that this looks at.
pub(super) const NAMES: [Bytes; 2] = [OPTIONS, POLICY];
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
    /// `ALLOW-FROM` with an origin, which browsers no longer support: CSP replaces it.
    AllowFrom(String),
    /// No value, or one that browsers ignore.
    Anything,
}

impl FrameOptions {
    /// Reads all lines as HTML specifies: duplicates count once. If several values remain, and one of them is valid,
    /// nobody may frame the page.
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

    /// The rank by strictness; 0 is the strictest.
    pub(super) fn rank(&self) -> usize {
        match self {
            Self::Deny => 0,
            Self::SameOrigin => 1,
            Self::AllowFrom(_) => 2,
            Self::Anything => 3,
        }
    }

    /// The equivalent list of `frame-ancestors`.
    fn ancestors(&self) -> Option<&[u8]> {
        match self {
            Self::Deny => Some(NOBODY),
            Self::SameOrigin => Some(OWN_ORIGIN),
            Self::AllowFrom(origin) => Some(origin.as_bytes()),
            Self::Anything => None,
        }
    }

    /// Whether a list of `frame-ancestors` allows everything that these options allow, so that they can replace it.
    /// This does not evaluate which origins a host or a scheme includes.
    fn are_within(&self, list: &[&[u8]]) -> bool {
        let is_own = |item: &&[u8]| *item == b"*" || item.eq_ignore_ascii_case(OWN_ORIGIN);
        match self {
            Self::Deny => true,
            Self::SameOrigin => list.iter().any(is_own),
            Self::AllowFrom(_) | Self::Anything => false,
        }
    }
}

/// The origin in an `ALLOW-FROM` value, which is a URL.
fn allowed_from(value: &[u8]) -> Option<String> {
    let url = std::str::from_utf8(value)
        .ok()?
        .strip_prefix("allow-from ")?;
    let (scheme, rest) = url.trim().split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let origin = Origin::try_from(format!("{scheme}://{host}")).ok()?;
    Some(origin.to_string())
}

/// The upstream's own headers.
#[derive(Debug)]
pub(super) struct UpstreamFraming {
    options: Vec<Bytes>,
    policies: Vec<Bytes>,
}

impl UpstreamFraming {
    /// Copies them before anything is changed.
    pub(super) fn of(response: &HeaderMap) -> Self {
        Self {
            options: lines(response, &OPTIONS),
            policies: lines(response, &POLICY),
        }
    }

    /// Restores their restrictions, unless the headers were replaced.
    pub(super) fn restore(&self, response: &mut HeaderMap) {
        if !self.options.is_empty() {
            self.restore_options(response);
        }
        if !self.policies.is_empty() {
            self.restore_policies(response);
        }
    }

    fn restore_options(&self, response: &mut HeaderMap) {
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

    fn restore_policies(&self, response: &mut HeaderMap) {
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

/// The policies of a line with their lists replaced, and whether the result allows no more than before. A list that
/// allows nobody stays.
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

/// The policy with another list in its first `frame-ancestors` directive.
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

/// The list of `frame-ancestors` in a policy. The first of several directives applies.
fn ancestors(policy: &[u8]) -> Option<Vec<&[u8]>> {
    policy.split(is_semicolon).find_map(items)
}

/// The items of a directive, if it is `frame-ancestors`.
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
