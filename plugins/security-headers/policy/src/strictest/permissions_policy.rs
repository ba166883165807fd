//! `Permissions-Policy`: a dictionary of features and the origins that may use them (RFC 9651).

use bytes::Bytes;

/// A feature, and the list of origins that may use it.
type Feature<'a> = (&'a [u8], &'a [u8]);

pub(in super::super) fn join(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    // If only one side has a policy, all of it is stricter, unless it allows a feature for all origins.
    let gives = |lines: &[Bytes]| lines.iter().any(|line| line.contains(&b'*'));
    match (ours, theirs) {
        (policy, []) | ([], policy) if !gives(policy) => return policy.to_vec(),
        _ => {}
    }
    let (own, other) = (features(ours), features(theirs));
    let mut joined = Vec::new();
    for (name, list) in &own {
        let list = match find(&other, name) {
            Some(others) => shorter(list, others),
            None => list,
        };
        // A feature without an entry is allowed for the page's own origin or, for some features, for all.
        if openness(list) < EVERYBODY || find(&other, name).is_some() {
            joined.push([name, &b"="[..], list].concat());
        }
    }
    for (name, list) in &other {
        if find(&own, name).is_none() && openness(list) < EVERYBODY {
            joined.push([name, &b"="[..], list].concat());
        }
    }
    match joined.is_empty() {
        true => Vec::new(),
        false => vec![joined.join(&b", "[..]).into()],
    }
}

/// The list of a feature. The last of several entries applies.
fn find<'a>(features: &[Feature<'a>], name: &[u8]) -> Option<&'a [u8]> {
    let mut last_first = features.iter().rev();
    last_first
        .find(|(other, _)| *other == name)
        .map(|(_, list)| *list)
}

/// The list that both allow. Two different lists of origins may have nothing in common.
fn shorter<'a>(left: &'a [u8], right: &'a [u8]) -> &'a [u8] {
    let (less, more) = match openness(left) <= openness(right) {
        true => (left, right),
        false => (right, left),
    };
    match (openness(less), openness(more)) {
        (OWN_ORIGIN, ORIGINS) if !has_own_origin(more) => NOBODY,
        (ORIGINS, ORIGINS) if left != right => NOBODY,
        _ => less,
    }
}

const NOBODY: &[u8] = b"()";
const OWN_ORIGIN: u8 = 1;
const ORIGINS: u8 = 2;
const EVERYBODY: u8 = 3;

/// The reach of a list: nobody, the page's own origin, other origins, everybody.
fn openness(list: &[u8]) -> u8 {
    let inner = list
        .strip_prefix(b"(")
        .and_then(|list| list.strip_suffix(b")"));
    match inner.unwrap_or(list).trim_ascii() {
        b"" => 0,
        b"self" => OWN_ORIGIN,
        b"*" => EVERYBODY,
        _ => ORIGINS,
    }
}

fn has_own_origin(list: &[u8]) -> bool {
    let mut items = list.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'(' | b')'));
    items.any(|item| item == b"self")
}

/// The entries of all lines. Lists contain neither commas nor quotes within quotes.
fn features(lines: &[Bytes]) -> Vec<Feature<'_>> {
    let members = lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','));
    members
        .filter_map(|member| {
            let member = member.trim_ascii();
            let at = member.iter().position(|byte| *byte == b'=')?;
            let (name, list) = member.split_at_checked(at)?;
            let list = list.split(|byte| *byte == b';').next()?;
            Some((name, list.strip_prefix(b"=")?.trim_ascii()))
        })
        .collect()
}
