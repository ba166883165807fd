//! Spellings of a path and their canonical form.

use std::ops::Range;

use portcullis_core::readings::path::CanonicalPath;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn canonical(target: &[u8]) -> Option<Vec<u8>> {
    CanonicalPath::new(target).map(|path| path.as_bytes().to_vec())
}

/// Checks a table of targets and their canonical forms. Reports every wrong row.
fn check(table: &[(&[u8], &[u8])]) {
    let wrong: Vec<_> = table
        .iter()
        .filter_map(|(target, expected)| {
            let found = canonical(target);
            (found.as_deref() != Some(expected)).then(|| {
                format!(
                    "{}: expected {}, found {:?}",
                    target.escape_ascii(),
                    expected.escape_ascii(),
                    found.map(|found| found.escape_ascii().to_string())
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn plain_paths_stay_as_they_are() {
    let paths: [&[u8]; 9] = [
        b"/",
        b"/admin",
        b"/admin/",
        b"/a/b/c.html",
        b"/.well-known/security.txt",
        b"/..a/b..",
        b"/...",
        b"/a/.../b",
        b"/a+b+c:d@e,f=g&h!$'()*~",
    ];
    check(&paths.map(|path| (path, path)));
    for path in paths {
        let form = CanonicalPath::new(path).unwrap();
        assert_eq!(form.as_bytes().as_ptr(), path.as_ptr(), "not borrowed");
    }
}

#[test]
fn the_query_is_no_part_of_the_path() {
    check(&[
        (b"/admin?x=/../y", b"/admin"),
        (b"/admin#x", b"/admin"),
        (b"/?", b"/"),
        (b"/a?b#c?d", b"/a"),
        (b"/a/..?b", b"/"),
        (b"/a;b?c/d", b"/a"),
        (b"/a;b#c/d", b"/a"),
        (b"/%61?%62", b"/a"),
        (b"/%61#%62", b"/a"),
    ]);
}

#[test]
fn slashes_and_dot_segments_hide_nothing() {
    check(&[
        (b"//admin", b"/admin"),
        (b"///", b"/"),
        (b"/admin//x", b"/admin/x"),
        (b"/./admin", b"/admin"),
        (b"/admin/.", b"/admin/"),
        (b"/admin/./x", b"/admin/x"),
        (b"/public/../admin", b"/admin"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b/../", b"/a/"),
        (b"/..", b"/"),
        (b"/../../admin", b"/admin"),
        (b"/a/../../admin", b"/admin"),
        (b"//evil/../admin", b"/admin"),
        (b"/public//../admin", b"/admin"),
        (b"/a/b/.././../admin", b"/admin"),
        (b"/a/.b/..c/d", b"/a/.b/..c/d"),
        (b"/\\admin", b"/admin"),
        (b"/public\\..\\admin", b"/admin"),
        (b"/public/..\\admin", b"/admin"),
        (b"/admin\\", b"/admin/"),
    ]);
}

#[test]
fn encodings_hide_nothing() {
    check(&[
        (b"/%61dmin", b"/admin"),
        (b"/%61%64%6D%69%6e", b"/admin"),
        (b"/admin%2fx", b"/admin/x"),
        (b"/admin%2Fx", b"/admin/x"),
        (b"/admin%5cx", b"/admin/x"),
        (b"/admin%5Cx", b"/admin/x"),
        (b"/%2fadmin", b"/admin"),
        (b"/public/%2e%2e/admin", b"/admin"),
        (b"/public/.%2e/admin", b"/admin"),
        (b"/public/%2E./admin", b"/admin"),
        (b"/public/%2e%2e%2fadmin", b"/admin"),
        (b"/public%2f..%5cadmin", b"/admin"),
        (b"/public%2f%2e%2e", b"/"),
        (b"/%2e/admin", b"/admin"),
        (b"/%2e%2e%2f%2e%2e%2fadmin", b"/admin"),
        (b"/admin%20x", b"/admin x"),
        (b"/caf%C3%A9", b"/caf\xc3\xa9"),
    ]);
}

#[test]
fn encodings_are_decoded_once() {
    check(&[
        (b"/%2561dmin", b"/%61dmin"),
        (b"/%252e%252e/admin", b"/%2e%2e/admin"),
        (b"/admin%252fx", b"/admin%2fx"),
        (b"/%%36%31", b"/%61"),
        (b"/%25", b"/%"),
    ]);
}

#[test]
fn a_percent_sign_that_encodes_nothing_stays() {
    check(&[
        (b"/a%", b"/a%"),
        (b"/a%4", b"/a%4"),
        (b"/a%zz", b"/a%zz"),
        (b"/a%4g%41", b"/a%4gA"),
        (b"/%u0061", b"/%u0061"),
        (b"/a%+1", b"/a%+1"),
        (b"/%c0%ae%c0%ae/admin", b"/\xc0\xae\xc0\xae/admin"),
        (b"/a%00b", b"/a\x00b"),
        (b"/admin%0a", b"/admin\n"),
        (b"/a%3fb%23c", b"/a?b#c"),
        (b"/admin./", b"/admin./"),
        (b"/admin..", b"/admin.."),
    ]);
}

#[test]
fn path_parameters_are_dropped() {
    check(&[
        (b"/admin;v=1", b"/admin"),
        (b"/admin;v=1/x", b"/admin/x"),
        (b"/admin;a=b;c=d/x;e", b"/admin/x"),
        (b"/public/..;/admin", b"/admin"),
        (b"/public/..;a=b/admin", b"/admin"),
        (b"/public/.;/admin", b"/public/admin"),
        (b"/public/%2e%2e;/admin", b"/admin"),
        (b"/;/admin", b"/admin"),
        (b"/;a/;b//admin", b"/admin"),
        (b"/a;\\..\\admin", b"/admin"),
        (b"/;", b"/"),
        (b"/a/;b", b"/a/"),
        // Servers that support parameters remove them before decoding.
        (b"/a;b%2fc/d", b"/a/d"),
        (b"/admin%3bx", b"/admin;x"),
        (b"/admin/%3Bx/y", b"/admin/;x/y"),
        (b"/public/..%3b/admin", b"/public/..;/admin"),
    ]);
}

#[test]
fn a_very_long_path_takes_linear_time() {
    let up_and_down = b"/a/..".repeat(100_000);
    assert_eq!(canonical(&up_and_down).unwrap(), b"/");
    let mut deep = b"/a".repeat(100_000);
    assert_eq!(canonical(&deep).unwrap(), deep);
    deep.extend(b"/..".repeat(100_001));
    assert_eq!(canonical(&deep).unwrap(), b"/");
}

#[test]
fn only_a_path_has_a_canonical_form() {
    for target in ["", "*", "admin", "\\admin", "%2fadmin", "?x", "http://a/b"] {
        assert_eq!(canonical(target.as_bytes()), None, "{target}");
    }
}

/// A canonical path of plain characters, and a random spelling of it.
fn path_and_spelling() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let segment = "[a-zA-Z0-9_.~-]{0,5}[a-z]";
    let detour = prop_oneof![
        Just("/"),
        Just("/."),
        Just("/x/.."),
        Just("//y/..;z"),
        Just("\\"),
        Just("%2f"),
        Just("%5C."),
        Just(";v=1/"),
        Just("/%2e"),
        Just("/%2e/x%2F%2e%2e/q/%2E%2e"),
    ];
    let choice = prop::collection::vec((detour, segment, any::<u8>()), 1..6);
    choice.prop_map(|parts| {
        let mut path = Vec::new();
        let mut spelling = b"/".to_vec();
        for (detour, segment, encoded) in parts {
            path.push(b'/');
            path.extend(segment.as_bytes());
            spelling.extend(detour.as_bytes());
            spelling.push(b'/');
            for (i, byte) in segment.bytes().enumerate() {
                match encoded >> i & 1 {
                    0 => spelling.push(byte),
                    _ => spelling.extend(format!("%{byte:02x}").bytes()),
                }
            }
        }
        (path, spelling)
    })
}

/// Paths with many special bytes.
fn target(length: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => prop::sample::select(&b"/./.%;\\25cCeEfF?#ab"[..]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, length).prop_map(|mut rest| {
        rest.insert(0, b'/');
        rest
    })
}

proptest! {
    #[test]
    fn every_spelling_of_a_path_is_that_path((path, spelling) in path_and_spelling()) {
        let found = canonical(&spelling).unwrap();
        prop_assert_eq!(found.escape_ascii().to_string(), path.escape_ascii().to_string());
    }

    #[test]
    fn the_form_is_canonical(target in target(0..40)) {
        let path = canonical(&target).unwrap();
        prop_assert!(path.starts_with(b"/"));
        prop_assert!(path.len() <= target.len());
        let mut segments: Vec<_> = path.split(|byte| *byte == b'/').skip(1).collect();
        let last = segments.pop().unwrap();
        prop_assert!(!segments.contains(&&b""[..]));
        segments.push(last);
        prop_assert!(!segments.contains(&&b"."[..]) && !segments.contains(&&b".."[..]));
        prop_assert!(!path.contains(&b'\\'));
    }

    /// A decoded byte may be part of another encoding. Apart from that, the form is stable.
    #[test]
    fn a_second_round_changes_nothing_but_encodings(target in target(0..40)) {
        let path = canonical(&target).unwrap();
        if !path.iter().any(|byte| b"%;?#".contains(byte)) {
            prop_assert_eq!(canonical(&path), Some(path));
        }
    }
}
