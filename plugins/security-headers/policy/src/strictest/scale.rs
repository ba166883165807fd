//! Headers whose values are ordered from the strictest to the weakest.

use bytes::Bytes;

/// A missing header, or a value that browsers ignore.
const ABSENT: &str = "";

/// The values of a header, strictest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale(&'static [&'static str]);

/// The scales by header name. Of values of different kinds, the one that gives less to other origins is stricter.
static SCALES: [(&str, Scale); 9] = [
    (
        "cross-origin-embedder-policy",
        Scale(&["require-corp", "credentialless", ABSENT, "unsafe-none"]),
    ),
    (
        "cross-origin-opener-policy",
        Scale(&[
            "same-origin",
            "noopener-allow-popups",
            "same-origin-allow-popups",
            ABSENT,
            "unsafe-none",
        ]),
    ),
    (
        "cross-origin-resource-policy",
        Scale(&["same-origin", "same-site", ABSENT, "cross-origin"]),
    ),
    ("origin-agent-cluster", Scale(&["?1", ABSENT, "?0"])),
    (
        "referrer-policy",
        Scale(&[
            "no-referrer",
            "same-origin",
            "strict-origin",
            "origin",
            "strict-origin-when-cross-origin",
            // The browsers' default.
            ABSENT,
            "origin-when-cross-origin",
            "no-referrer-when-downgrade",
            "unsafe-url",
        ]),
    ),
    ("x-content-type-options", Scale(&["nosniff", ABSENT])),
    ("x-dns-prefetch-control", Scale(&["off", ABSENT, "on"])),
    ("x-download-options", Scale(&["noopen", ABSENT])),
    (
        "x-permitted-cross-domain-policies",
        Scale(&[
            "none",
            "none-this-response",
            "master-only",
            ABSENT,
            "by-content-type",
            "all",
        ]),
    ),
];

pub(super) fn of(name: &[u8]) -> Option<Scale> {
    let scale = SCALES.iter().find(|(other, _)| other.as_bytes() == name);
    scale.map(|(_, scale)| *scale)
}

impl Scale {
    /// The position of the header on the scale. The last known value applies, as for `Referrer-Policy`; the other
    /// headers have only one value.
    pub(super) fn rank(self, lines: &[Bytes]) -> usize {
        let members = lines
            .iter()
            .flat_map(|line| line.split(|byte| *byte == b','));
        let position = |member: &[u8]| {
            let token = member.split(|byte| *byte == b';').next()?.trim_ascii();
            let is_this = |value: &&str| value.as_bytes().eq_ignore_ascii_case(token);
            self.0.iter().position(is_this)
        };
        let absent = || self.0.iter().position(|value| *value == ABSENT);
        let known = members.filter_map(position).last();
        known.or_else(absent).unwrap_or(self.0.len())
    }
}
