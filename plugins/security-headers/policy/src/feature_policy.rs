//! `Feature-Policy`, the former name of `Permissions-Policy`.
//!
//! Chromium still obeys it, except for features that `Permissions-Policy` names. So an entry of the plugin could allow
//! what the upstream forbids under the former name. As long as the upstream's header stays, both hold: its entries
//! are merged with the plugin's, and each feature gets the shorter list.

use bytes::Bytes;

use super::lines::lines;
use super::strictest::join_permissions;
use portcullis_core::headers::HeaderMap;

const FORMER: Bytes = Bytes::from_static(b"feature-policy");
const NAME: Bytes = Bytes::from_static(b"permissions-policy");

/// The headers that this looks at.
pub(super) const NAMES: [Bytes; 2] = [FORMER, NAME];

/// The upstream's own headers.
#[derive(Debug)]
pub(super) struct UpstreamFeatures {
    former: Vec<Bytes>,
    current: Vec<Bytes>,
}

impl UpstreamFeatures {
    /// Copies them before anything is changed.
    pub(super) fn of(response: &HeaderMap) -> Self {
        Self {
            former: lines(response, &FORMER),
            current: lines(response, &NAME),
        }
    }

    /// Restores their restrictions, unless the headers were replaced.
    pub(super) fn restore(&self, response: &mut HeaderMap) {
        if self.former.is_empty() || lines(response, &FORMER) != self.former {
            return;
        }
        let ours = lines(response, &NAME);
        if ours.is_empty() || ours == self.current {
            return;
        }
        // The last entry of a feature applies, so features that the upstream does not name keep the plugin's list.
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

/// The equivalent `Permissions-Policy`.
fn translated(lines: &[Bytes]) -> Bytes {
    let entries = lines
        .iter()
        .flat_map(|line| line.split(|byte| matches!(byte, b';' | b',')));
    let features: Vec<Vec<u8>> = entries.filter_map(translated_entry).collect();
    features.join(&b", "[..]).into()
}

/// Translates `camera 'self' https://a.example` to `camera=(self "https://a.example")`. A feature without a list is
/// allowed for the page's own origin.
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
            // 'none', and keywords without a meaning in a header.
            keyword if keyword.starts_with(b"'") => {}
            origin => list.push([b"\"", origin, b"\""].concat()),
        }
    }
    if !is_listed {
        list.push(b"self".to_vec());
    }
    Some([&feature[..], b"=(", &list.join(&b" "[..]), b")"].concat())
}
