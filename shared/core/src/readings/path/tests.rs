//! The variants of a path include the paths that servers read.

use std::collections::BTreeSet;

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::servers::{self, target};
use super::*;

fn readings(target: &str) -> Option<BTreeSet<String>> {
    let paths = Paths::of(target.as_bytes()).unwrap();
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    (!paths.has_too_many()).then(|| paths.iter().map(text).collect())
}

fn set(paths: &[&str]) -> Option<BTreeSet<String>> {
    Some(paths.iter().map(|path| (*path).to_owned()).collect())
}

#[test]
fn a_plain_path_is_its_only_reading() {
    for path in ["/", "/admin", "/a/b/", "/.git/...", "/a+b@c:d!$&'()*,=~_-"] {
        assert_eq!(readings(path), set(&[path]));
        assert_eq!(readings(&format!("{path}?x=/../%2f;")), set(&[path]));
        let paths = Paths::of(path.as_bytes()).unwrap();
        assert_eq!(
            paths.only().unwrap().as_ptr(),
            path.as_ptr(),
            "not borrowed"
        );
    }
}

#[test]
fn what_a_path_cannot_hold_is_decoded_in_every_reading() {
    assert_eq!(readings("/caf%C3%A9/a%20b%22"), set(&["/café/a b\""]));
    assert_eq!(readings("/100%25"), set(&["/100%"]));
    assert_eq!(readings("/a%zz%4"), set(&["/a%zz%4"]));
}

/// Raw `0x85` and `0xa0` end a request line for `BaseHTTPRequestHandler`; what is not UTF-8 is dropped by Bottle.
#[test]
fn bytes_that_are_not_text_have_too_many_readings() {
    for path in [
        &b"/admin\xa0"[..],
        b"/admin\x85",
        b"/ad\xffmin/x",
        b"/ad%FFmin/x",
        b"/%85admin",
        b"/admin%C2",
        b"/admin%ED%A0%80",
    ] {
        assert!(Paths::of(path).unwrap().has_too_many(), "{path:?}");
    }
}

#[test]
fn an_authority_ends_at_a_slash_or_at_a_backslash() {
    let is_read = readings(r"//h\x/admin/x").is_none_or(|all| all.contains("/admin/x"));
    assert!(is_read);
}

#[test]
fn each_choice_makes_readings() {
    assert_eq!(readings("/a/../b"), set(&["/a/../b", "/b"]));
    assert_eq!(readings("/%61"), set(&["/%61", "/a"]));
    assert_eq!(readings("/a%2Fb"), set(&["/a%2Fb", "/a/b"]));
    assert_eq!(readings(r"/a\b"), set(&[r"/a\b", "/a/b"]));
    assert_eq!(readings("/a//b"), set(&["/a//b", "/a/b"]));
    assert_eq!(readings("//a/b"), set(&["//a/b", "/a/b", "/b"]));
    assert_eq!(readings("/a;v/b"), set(&["/a;v/b", "/a/b", "/a"]));
    assert_eq!(
        readings("/a%3bv/b"),
        set(&["/a%3bv/b", "/a;v/b", "/a/b", "/a"])
    );
    assert_eq!(readings("/a%3fb"), set(&["/a%3fb", "/a?b", "/a"]));
    assert_eq!(readings("/a%2561"), set(&["/a%2561", "/a%61", "/aa"]));
    assert_eq!(
        readings("/a/%2e%2e/b"),
        set(&["/a/%2e%2e/b", "/a/../b", "/b"])
    );
    assert_eq!(
        readings("/a//../b"),
        set(&["/a//../b", "/a/../b", "/a/b", "/b"])
    );
}

#[test]
fn what_only_an_attacker_sends_has_too_many_readings() {
    for target in [
        "/%c0%af",
        "/%E0%80%AF",
        "/%f0%80%80%af",
        "/%u002f",
        "/a%00b",
        "/a%2500b",
        "/admin%0a",
        "/a%7f",
        "/%25252e",
        "/a b",
        "/a\tb",
        "/café",
        "/a\u{7f}",
        "/a#b",
        "http://host/a",
        "a",
        r"\a",
        "/a;b%2f%5c\\//..%252e%3f%3b",
        "/public/;/..//%2e%2e/x\\y%3f",
    ] {
        assert_eq!(readings(target), None, "{target}");
    }
    assert_eq!(Paths::of(b"*"), None);
    assert_eq!(Paths::of(b""), None);
}

/// gunicorn reads these as CGI variables.
#[test]
fn a_header_that_moves_the_path_leaves_too_many_readings() {
    let paths = |name: &'static str| {
        let entries = [(":path", "/public/x"), (name, "/public")];
        let entries = entries.map(|(name, value)| (name.into(), value.into()));
        let headers = HeaderMap::new(entries.to_vec());
        Paths::of_request(&headers).unwrap().has_too_many()
    };
    for name in ["script_name", "script-name", "path_info", "path.info"] {
        assert!(paths(name), "{name}");
    }
    for name in ["x-script-name", "script", "pathinfo"] {
        assert!(!paths(name), "{name}");
    }
}

#[test]
fn a_long_path_is_not_read_in_many_ways() {
    let long = format!("/{}", "a".repeat(MAX_WORK));
    assert_eq!(readings(&long), set(&[&long]));
    assert_eq!(readings(&format!("{long}/../b")), None);
    let encoded = format!("{long}%C3%A9");
    assert_eq!(readings(&encoded), set(&[&format!("{long}é")]));
}

proptest! {
    #[test]
    fn what_a_server_reads_is_a_reading(target in target()) {
        let paths = Paths::of(target.as_bytes()).unwrap();
        if paths.has_too_many() {
            return Ok(());
        }
        for (server, read) in servers::ALL {
            let found = read(&target);
            let found = without_final_slash(found.as_bytes());
            let is_read = paths.iter().any(|path| without_final_slash(path) == found);
            prop_assert!(
                is_read,
                "{server} reads {} in {target}; readings: {:?}",
                found.escape_ascii(),
                readings(&target),
            );
        }
    }

    /// A path and the path that a server reads in it have the same key.
    #[test]
    fn two_spellings_of_a_path_have_one_key(target in target()) {
        let paths = Paths::of(target.as_bytes()).unwrap();
        let Some(key) = paths.key() else {
            return Ok(());
        };
        for read in [servers::decode, servers::nginx, servers::tomcat, servers::whatwg, servers::twice] {
            let path = read(&target);
            if let Some(other) = Paths::of(path.as_bytes()).unwrap().key() {
                prop_assert_eq!(&other, &key, "{} read as {}", &target, path);
            }
        }
    }

    #[test]
    fn the_work_is_bounded(target in "/[a/.;%25\\\\]{0,3000}") {
        let paths = Paths::of(target.as_bytes()).unwrap();
        let size: usize = paths.iter().map(<[u8]>::len).sum();
        prop_assert!(size <= MAX_WORK.max(target.len()));
        prop_assert!(paths.iter().count() <= MAX_CHOICES);
    }
}
