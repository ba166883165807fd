//! The steps from a path as sent to the path that a server handles.

use super::canonical;
use super::choices::{Choice, Cut, Decoding, Dots, Leading, Merge, is_path_character};
use crate::readings::percent::{self, Unit, Units};

/// Reads a path in one way.
pub(super) fn read(path: &[u8], choice: Choice) -> Vec<u8> {
    let is_slash = |byte: u8| byte == b'/' || (choice.backslash && byte == b'\\');
    let mut text = match choice.leading {
        Leading::Kept => path.to_vec(),
        Leading::Authority => without_authority(path),
        Leading::Merged => with_one_slash(path),
    };
    if choice.dots == Dots::Encoded {
        text = decode_dots(&text, is_slash);
    }
    if matches!(choice.dots, Dots::AsWritten | Dots::Both | Dots::Encoded) {
        text = resolve(&text, is_slash, false, true);
    }
    text = cut(text, choice.cut, false);
    text = decode(&text, choice.decoding);
    text = cut(text, choice.cut, true);
    if choice.ends_early
        && let Some(end) = text.iter().position(|byte| matches!(byte, b'?' | b'#'))
    {
        text.truncate(end);
    }
    let resolves = matches!(choice.dots, Dots::Decoded | Dots::Both);
    text = resolve(&text, is_slash, choice.merge == Merge::BeforeDots, resolves);
    match choice.merge {
        Merge::AfterDots => resolve(&text, is_slash, true, false),
        Merge::Never | Merge::BeforeDots => text,
    }
}

/// Decodes dot segments (WHATWG URL, section 4.1: "double-dot URL path segment").
fn decode_dots(path: &[u8], is_slash: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(path.len());
    for segment in path.split_inclusive(|byte| is_slash(*byte)) {
        let (name, slash) = match segment.split_last() {
            Some((last, name)) if is_slash(*last) => (name, Some(last)),
            _ => (segment, None),
        };
        let dots: &[u8] = match name.to_ascii_lowercase().as_slice() {
            b"%2e" => b".",
            b"%2e%2e" | b".%2e" | b"%2e." => b"..",
            _ => name,
        };
        text.extend_from_slice(dots);
        text.extend(slash);
    }
    text
}

/// Removes the host from `//host/path`.
fn without_authority(path: &[u8]) -> Vec<u8> {
    let host = path.get(2..).unwrap_or_default();
    let end = host.iter().position(|byte| matches!(byte, b'/' | b'\\'));
    match end.and_then(|end| host.get(end..)) {
        Some(path) => path.to_vec(),
        None => b"/".to_vec(),
    }
}

/// Merges the leading slashes of `//path`.
fn with_one_slash(path: &[u8]) -> Vec<u8> {
    let rest = path.iter().skip_while(|byte| matches!(byte, b'/' | b'\\'));
    std::iter::once(&b'/').chain(rest).copied().collect()
}

/// Removes parameters, if the server does so at this stage.
fn cut(mut text: Vec<u8>, cut: Cut, is_decoded: bool) -> Vec<u8> {
    match cut {
        Cut::Rest { decoded } if decoded == is_decoded => {
            if let Some(end) = text.iter().position(|byte| *byte == b';') {
                text.truncate(end);
            }
        }
        Cut::Parameters { decoded } if decoded == is_decoded => {
            let mut in_parameter = false;
            text.retain(|byte| {
                in_parameter = match byte {
                    b';' => true,
                    b'/' | b'\\' => false,
                    _ => in_parameter,
                };
                !in_parameter
            });
        }
        Cut::Nothing | Cut::Rest { .. } | Cut::Parameters { .. } => {}
    }
    text
}

/// Decodes the bytes that every server decodes, because a path can contain them only in encoded form.
pub(super) fn decode_benign(path: &[u8]) -> Vec<u8> {
    decode(path, Decoding::Benign)
}

/// Decodes a path. A `%` that starts no encoding stays as it is.
pub(super) fn decode(path: &[u8], decoding: Decoding) -> Vec<u8> {
    let is_decoded = |byte: u8, after: &[u8]| match decoding {
        Decoding::Benign => match byte {
            b'/' | b'?' | b'#' | b'\\' => false,
            b'%' => !percent::starts_with_digits(after),
            byte => !is_path_character(byte),
        },
        Decoding::KeepSlashes => !matches!(byte, b'/' | b'\\'),
        Decoding::Once | Decoding::Twice => true,
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut units = Units::of(path);
    while let Some(unit) = units.next() {
        match unit {
            Unit::Encoded(byte, written) if !is_decoded(byte, units.rest()) => {
                decoded.extend_from_slice(written);
            }
            unit => decoded.push(unit.byte()),
        }
    }
    match decoding {
        Decoding::Twice => decode(&decoded, Decoding::Once),
        _ => decoded,
    }
}

/// Normalises slashes to `/`. Optionally merges them and resolves dot segments.
fn resolve(text: &[u8], is_slash: impl Fn(u8) -> bool, merges: bool, resolves: bool) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for byte in text {
        if !is_slash(*byte) {
            path.push(*byte);
            continue;
        }
        let is_resolved = resolves && canonical::resolve_dots(&mut path);
        let is_merged = merges && path.last() == Some(&b'/');
        if !is_resolved && !is_merged {
            path.push(b'/');
        }
    }
    if resolves {
        canonical::resolve_dots(&mut path);
    }
    path
}
