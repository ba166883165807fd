//! URIs as they are written, and the requests they become.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn pieces(text: &str) -> Option<(String, String, String)> {
    let uri = Uri::try_from(text.to_owned()).ok()?;
    let pieces = [uri.scheme(), uri.authority(), uri.path()].map(str::to_owned);
    Some(pieces.into())
}

#[test]
fn a_uri_is_taken_to_pieces() {
    for (text, scheme, authority, path) in [
        (
            "https://idp.example/a/b.json",
            "https",
            "idp.example",
            "/a/b.json",
        ),
        ("http://idp.example", "http", "idp.example", "/"),
        (
            "HTTPS://IDP.Example:8443/Keys",
            "https",
            "idp.example:8443",
            "/Keys",
        ),
        ("https://idp.example:443/", "https", "idp.example", "/"),
        ("http://idp.example:443/", "http", "idp.example:443", "/"),
        ("http://idp.example:80", "http", "idp.example", "/"),
        ("https://192.0.2.1:9000/x", "https", "192.0.2.1:9000", "/x"),
        ("https://[2001:DB8::1]/x", "https", "[2001:db8::1]", "/x"),
        ("https://[::1]:9000?a=b", "https", "[::1]:9000", "/?a=b"),
        (
            "https://a.example/x?p=/y?&q=%2F:@",
            "https",
            "a.example",
            "/x?p=/y?&q=%2F:@",
        ),
        (
            "https://a.example//x/../y;z",
            "https",
            "a.example",
            "//x/../y;z",
        ),
        (
            "https://a.example/user@host://",
            "https",
            "a.example",
            "/user@host://",
        ),
    ] {
        let expected = [scheme, authority, path].map(str::to_owned);
        assert_eq!(pieces(text), Some(expected.into()), "{text}");
    }
}

#[test]
fn what_is_no_such_uri_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "scheme"),
        ("idp.example/keys", "scheme"),
        ("/keys", "scheme"),
        ("//idp.example/keys", "scheme"),
        ("ftp://idp.example/", "scheme"),
        (" https://idp.example/", "scheme"),
        ("https://idp.example/#keys", "fragment"),
        ("https://user:secret@idp.example/", "user information"),
        ("https://good.example@evil.example/", "user information"),
        ("https://", "host"),
        ("https:///keys", "host"),
        ("https://:443/", "host"),
        ("https://*.example/", "host"),
        ("https://idp..example/", "host"),
        ("https://idp example/", "host"),
        ("https://bücher.example/", "host"),
        ("https://1.2.3/", "host"),
        ("https://::1/", "host"),
        ("https://[::1/", "host"),
        ("https://[::g]/", "host"),
        ("https://[::1]x/", "host"),
        ("https://idp.example\\@evil.example/", "user information"),
        ("https://idp.example\\/", "host"),
        ("https://idp.example:/", "port"),
        ("https://idp.example:0/", "port"),
        ("https://idp.example:65536/", "port"),
        ("https://idp.example:+1/", "port"),
        ("https://idp.example:0443/", "port"),
        ("https://idp.example/a b", "path"),
        ("https://idp.example/a\r\nx: y", "path"),
        ("https://idp.example/a\0", "path"),
        ("https://idp.example/ä", "path"),
        ("https://idp.example/a\"b", "path"),
        ("https://idp.example/a\\b", "path"),
        ("https://idp.example/a[b]", "path"),
        ("https://idp.example/100%", "path"),
        ("https://idp.example/%2", "path"),
        ("https://idp.example/%g0", "path"),
        ("https://idp.example/%%30", "path"),
    ] {
        let error = Uri::try_from(text.to_owned()).expect_err(text);
        let (found, problem) = error.split_once("jwks.json\": ").unwrap();
        assert!(found.starts_with(&format!("found {text:?}; expected an http or https URI")));
        assert!(problem.contains(reason), "{text}: {problem}");
    }
}

proptest! {
    #[test]
    fn what_is_accepted_can_be_sent(
        text in prop_oneof![
            any::<String>().prop_map(|rest| format!("https://{rest}")),
            any::<String>().prop_map(|rest| format!("http://a.example/{rest}")),
            "https?://[a-z*.:@\\[\\]0-9]{1,12}[/?#%a-f\\\\]{0,6}",
        ],
    ) {
        if let Ok(uri) = Uri::try_from(text) {
            prop_assert!(uri.path().starts_with('/'));
            for piece in [uri.authority(), uri.path()] {
                prop_assert!(!piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            prop_assert!(!uri.authority().contains(['/', '@', '?', '#', '\\']));
            prop_assert_eq!(Uri::try_from(uri.to_string()), Ok(uri));
        }
    }
}
