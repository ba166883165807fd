//! `Feature-Policy`, the former name of `Permissions-Policy`.
//!
//! Chromium obeys it still, except for features that `Permissions-Policy` names. So an entry of ours could
//! allow again what the upstream forbade under the former name. As long as the upstream's header stays, both
//! answers hold: its entries join ours, and of each feature the shorter list is sent.

use bytes::Bytes;

use super::lines::lines;
use super::strictest::join_permissions;
use portcullis_core::headers::HeaderMap;

const FORMER: Bytes = Bytes::from_static(b"feature-policy");
const NAME: Bytes = Bytes::from_static(b"permissions-policy");

/// The upstream's own answers.
#[derive(Debug)]
pub(super) struct UpstreamFeatures {
    former: Vec<Bytes>,
    current: Vec<Bytes>,
}

impl UpstreamFeatures {
    /// Notes them before anything is changed.
    pub(super) fn of(response: &HeaderMap) -> Self {
        Self {
            former: lines(response, &FORMER),
            current: lines(response, &NAME),
        }
    }

    /// Sees to it that what they forbid stays forbidden, unless they were replaced.
    pub(super) fn uphold(&self, response: &mut HeaderMap) {
        if self.former.is_empty() || lines(response, &FORMER) != self.former {
            return;
        }
        let ours = lines(response, &NAME);
        if ours.is_empty() || ours == self.current {
            return;
        }
        // Features that the upstream does not name are ours alone: the last entry counts.
        let theirs = [&ours[..], &[translated(&self.former)]].concat();
        let joined = join_permissions(&ours, &theirs);
        match joined.as_slice() {
            [] => {
                response.remove(NAME);
            }
            _ if joined == ours => {}
            [line] => response.set(NAME, line.clone()),
            _ => response.set_lines(NAME, joined),
        }
    }
}

/// The same as a `Permissions-Policy`.
fn translated(lines: &[Bytes]) -> Bytes {
    let entries = lines
        .iter()
        .flat_map(|line| line.split(|byte| matches!(byte, b';' | b',')));
    let features: Vec<Vec<u8>> = entries.filter_map(translated_entry).collect();
    features.join(&b", "[..]).into()
}

/// `camera 'self' https://a.example` as `camera=(self "https://a.example")`. Without a list, a feature is for
/// the page's own origin.
fn translated_entry(entry: &[u8]) -> Option<Vec<u8>> {
    let mut words = entry
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let feature = words.next()?.to_ascii_lowercase();
    let mut list: Vec<Vec<u8>> = Vec::new();
    let mut is_listed = false;
    for word in words {
        is_listed = true;
        match word.to_ascii_lowercase().as_slice() {
            b"*" => return Some([&feature[..], b"=*"].concat()),
            b"'self'" => list.push(b"self".to_vec()),
            // 'none', and what has no meaning in a header.
            keyword if keyword.starts_with(b"'") => {}
            origin => list.push([b"\"", origin, b"\""].concat()),
        }
    }
    if !is_listed {
        list.push(b"self".to_vec());
    }
    Some([&feature[..], b"=(", &list.join(&b" "[..]), b")"].concat())
}
