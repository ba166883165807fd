//! `Strict-Transport-Security`: browsers read the first line (RFC 6797, section 8.1).

use bytes::Bytes;

/// Directives of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Directives {
    /// In seconds. 0 makes browsers forget the policy, which is weaker than no header.
    max_age: u64,
    include_subdomains: bool,
    preload: bool,
}

pub(super) fn join(ours: &[Bytes], theirs: &[Bytes]) -> Vec<Bytes> {
    let (own, other) = match (parse(ours), parse(theirs)) {
        (own, None) => {
            return if own.is_some_and(|own| own.max_age == 0) {
                Vec::new()
            } else {
                ours.to_vec()
            };
        }
        (None, Some(other)) => {
            return if other.max_age == 0 {
                ours.to_vec()
            } else {
                theirs.to_vec()
            };
        }
        (Some(own), Some(other)) => (own, other),
    };
    let joined = Directives {
        max_age: own.max_age.max(other.max_age),
        include_subdomains: own.include_subdomains || other.include_subdomains,
        preload: own.preload || other.preload,
    };
    if joined == own {
        return ours.to_vec();
    }
    if joined == other {
        return theirs.to_vec();
    }
    let mut value = format!("max-age={}", joined.max_age);
    for (is_there, directive) in [
        (joined.include_subdomains, "; includeSubDomains"),
        (joined.preload, "; preload"),
    ] {
        if is_there {
            value.push_str(directive);
        }
    }
    vec![value.into()]
}

/// The directives of the first line; `None` if browsers ignore it.
fn parse(lines: &[Bytes]) -> Option<Directives> {
    let mut directives = Directives::default();
    let mut has_age = false;
    for part in lines.first()?.split(|byte| *byte == b';') {
        let part = part.trim_ascii().to_ascii_lowercase();
        match part.as_slice() {
            b"includesubdomains" => directives.include_subdomains = true,
            b"preload" => directives.preload = true,
            _ => {
                let Some(value) = part.strip_prefix(b"max-age") else {
                    continue;
                };
                let value = value.trim_ascii_start().strip_prefix(b"=")?;
                let digits = std::str::from_utf8(value).ok()?.trim().trim_matches('"');
                directives.max_age = digits.parse().ok()?;
                has_age = true;
            }
        }
    }
    has_age.then_some(directives)
}
