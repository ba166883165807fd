//! Paths that servers read in different ways.
//!
//! The [matcher](crate::matcher) reads a path as the most lenient server would. A rule that *asks for
//! less* than another one could then be reached by a spelling that the upstream reads as a path of the
//! other one: `/admin/..;/x` is `/x` to Tomcat, and below `/admin/` to a server that knows no path
//! parameters. So a path is also read the other way: with `;` as an ordinary character, with `%2f` and
//! `%5c` as text rather than separators, with `\` as an ordinary character, with `..` going up from the
//! empty segment in `//`, and with any of these together. If the readings lead to different rules, the
//! request is refused.
//!
//! The other readings are written as targets that the matcher reads so, with the special character
//! encoded once more.

/// What makes a path ambiguous, and how it is written to be an ordinary character.
const READINGS: [(&[u8], &[u8]); 5] = [
    (b";", b"%3b"),
    (b"%2f", b"%252f"),
    (b"%5c", b"%255c"),
    (b"\\", b"%255c"),
    (SLASHES, b"/%00/"),
];

const SLASHES: &[u8] = b"//";

/// Targets for all other ways to read the path of this one. Empty for nearly all.
pub(super) fn others(target: &[u8]) -> Vec<Vec<u8>> {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (path, rest) = target.split_at(end.unwrap_or(target.len()));
    // Most paths are plain, and this is all that is done with them.
    let is_special = |byte: &u8| matches!(byte, b';' | b'%' | b'\\');
    if !path.iter().any(is_special) && find(path, SLASHES).is_none() {
        return Vec::new();
    }
    let has = |text| find(path, text).is_some();
    let goes_up = has(b"..") || has(b"%2e");
    let special = READINGS
        .iter()
        .filter(|(from, _)| has(from) && (*from != SLASHES || goes_up));
    let mut paths = vec![path.to_vec()];
    for (from, to) in special {
        let replaced: Vec<_> = paths.iter().map(|path| replace(path, from, to)).collect();
        paths.extend(replaced);
    }
    let others = paths.into_iter().skip(1);
    others.map(|path| [&path, rest].concat()).collect()
}

/// Where a text stands first; letter case does not count.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(text.len());
    windows.position(|window| window.eq_ignore_ascii_case(text))
}

fn replace(mut bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    while let Some((before, found)) = find(bytes, from).and_then(|at| bytes.split_at_checked(at)) {
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(to);
        bytes = found.get(from.len()..).unwrap_or_default();
    }
    replaced.extend_from_slice(bytes);
    replaced
}
