//! The requests that a rule applies to.

use bytes::Bytes;
use portcullis_core::config;
use portcullis_core::headers::HeaderMap;
use portcullis_core::matcher::{Match, Subject};
use portcullis_core::readings::Fit;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[allow(clippy::unwrap_used, reason = "the rules of these tests are valid")]
fn rule(json: &str) -> Match {
    config::read(json.as_bytes()).unwrap()
}

fn headers(entries: &[(&str, &[u8])]) -> HeaderMap {
    let bytes = |text: &[u8]| Bytes::copy_from_slice(text);
    HeaderMap::new(
        entries
            .iter()
            .map(|(name, value)| (bytes(name.as_bytes()), bytes(value)))
            .collect(),
    )
}

/// The result of a rule for a request with these headers on the route `shop`.
fn fit(json: &str, entries: &[(&str, &[u8])]) -> Fit {
    rule(json).fit(&Subject::new(&headers(entries), b"shop"))
}

/// Whether the match is certain.
fn fits(json: &str, entries: &[(&str, &[u8])]) -> bool {
    fit(json, entries) == Fit::Certain
}

fn path_fit(json: &str, path: &str) -> Fit {
    fit(
        &format!(r#"{{"path": {json}}}"#),
        &[(":path", path.as_bytes())],
    )
}

fn path_fits(json: &str, path: &str) -> bool {
    path_fit(json, path) == Fit::Certain
}

fn host_fit(host: &str, authority: &str) -> Fit {
    fit(
        &format!(r#"{{"hosts": [{host:?}]}}"#),
        &[(":authority", authority.as_bytes())],
    )
}

/// Whether the match of a rule for this host is possible or certain.
fn host_fits(host: &str, authority: &str) -> bool {
    host_fit(host, authority).restricts()
}

#[test]
fn a_match_without_conditions_is_for_every_request() {
    assert!(fits("{}", &[]));
    assert!(fits("{}", &[(":path", b"/a"), (":method", b"GET")]));
}

#[test]
fn all_conditions_must_hold() {
    let json = r#"{"path": {"prefix": "/api/"}, "methods": ["GET", "HEAD"], "hosts": ["a.example"],
                   "headers": [{"name": "x-a", "exact": "1"}, {"name": "x-b", "present": true}],
                   "route": "shop"}"#;
    let request: [(&str, &[u8]); 5] = [
        (":path", b"/api/x?q"),
        (":method", b"HEAD"),
        (":authority", b"a.example:443"),
        ("x-a", b"1"),
        ("x-b", b""),
    ];
    assert!(fits(json, &request));
    let blog = rule(json).fit(&Subject::new(&headers(&request), b"blog"));
    assert_eq!(blog, Fit::No);
    for i in 0..request.len() {
        let mut other = request;
        other[i].1 = b"/other";
        if other[i].0 == "x-b" {
            other[i].0 = "x-c";
        }
        assert_eq!(fit(json, &other), Fit::No, "{other:?}");
    }
}

#[test]
fn a_path_fits_for_certain_if_every_reading_does() {
    for (json, path) in [
        (r#"{"exact": "/admin"}"#, "/admin?q"),
        (r#"{"prefix": "/admin"}"#, "/administrator"),
        (r#"{"prefix": "/admin/"}"#, "/admin/a%2fb;v=1/y//z"),
        (r#"{"exact": "/café"}"#, "/caf%C3%A9"),
        (r#"{"prefix": "/."}"#, "/.git/config"),
        (r#"{"regex": "/admin/.+"}"#, "/admin/x"),
    ] {
        assert_eq!(path_fit(json, path), Fit::Certain, "{json} {path}");
    }
}

#[test]
fn a_path_fits_possibly_if_a_reading_does() {
    for (json, path) in [
        (r#"{"exact": "/admin"}"#, "/x/../%61dmin;v?q"),
        (r#"{"prefix": "/admin/"}"#, "/admin/../x"),
        (r#"{"prefix": "/admin/"}"#, "/x/..;/admin/"),
        (r#"{"regex": "/admin/.+"}"#, "/public/..%2fadmin//x"),
        (r#"{"prefix": "/admin/"}"#, "/%25252e"),
        // Express ignores letter case and a trailing slash.
        (r#"{"exact": "/admin"}"#, "/admin/"),
        (r#"{"exact": "/admin/"}"#, "/admin"),
        (r#"{"prefix": "/admin/"}"#, "/admin"),
        (r#"{"prefix": "/admin"}"#, "/Admin"),
        (r#"{"prefix": "/Admin/"}"#, "/aDMIN"),
        (r#"{"regex": "/admin/?x"}"#, "/ADMINX/"),
        (r#"{"regex": "/admin/"}"#, "/admin"),
    ] {
        assert_eq!(path_fit(json, path), Fit::Possible, "{json} {path}");
    }
}

#[test]
fn a_path_does_not_fit_if_no_reading_does() {
    for (json, path) in [
        (r#"{"exact": "/admin"}"#, "/admin/x"),
        (r#"{"exact": "/admin"}"#, "/"),
        (r#"{"prefix": "/admin/"}"#, "/administrator"),
        (r#"{"prefix": "/admin/"}"#, "/x/../y"),
        (r#"{"regex": "/admin"}"#, "/admins"),
    ] {
        assert_eq!(path_fit(json, path), Fit::No, "{json} {path}");
    }
}

#[test]
fn a_request_without_path_fits_no_rule_with_one() {
    assert!(!fits(
        r#"{"path": {"prefix": "/"}}"#,
        &[(":method", b"CONNECT")]
    ));
    assert!(!path_fits(r#"{"regex": ".*"}"#, "*"));
}

#[test]
fn letter_case_makes_a_method_uncertain() {
    let json = r#"{"methods": ["GET", "BREW"]}"#;
    assert!(fits(json, &[(":method", b"BREW")]));
    assert_eq!(fit(json, &[(":method", b"get")]), Fit::Possible);
    assert_eq!(fit(json, &[]), Fit::No);
    assert_eq!(fit(json, &[(":method", b"POST")]), Fit::No);
}

#[test]
fn hosts_do_not_depend_on_letter_case_port_or_final_dot() {
    for authority in [
        "api.example",
        "API.Example",
        "api.example:443",
        "api.example.",
        "api.example.:8",
        "api.example..",
    ] {
        assert!(host_fits("api.example", authority), "{authority}");
        assert!(host_fits("Api.EXAMPLE", authority), "{authority}");
    }
    for authority in [
        "",
        "example",
        "x.api.example",
        "api.example.org",
        "xapi.example",
    ] {
        assert!(!host_fits("api.example", authority), "{authority}");
    }
    assert!(host_fits("192.0.2.1", "192.0.2.1:80"));
}

#[test]
fn a_wildcard_stands_for_one_label_or_more() {
    for authority in ["a.example", "A.B.Example:80", "a.example."] {
        assert!(host_fits("*.example", authority), "{authority}");
    }
    for authority in ["example", ".example", "aexample", "a.example.org"] {
        assert!(!host_fits("*.example", authority), "{authority}");
    }
}

#[test]
fn ipv6_addresses_are_compared_as_addresses() {
    for authority in [
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "[2001:0DB8:0:0::0001]",
    ] {
        assert!(host_fits("[2001:db8::1]", authority), "{authority}");
    }
    for authority in [
        "2001:db8::1",
        "[2001:db8::2]",
        "[2001:db8::1",
        "[]",
        "[",
        "]",
    ] {
        assert!(!host_fits("[2001:db8::1]", authority), "{authority}");
    }
}

#[test]
fn junk_behind_a_host_does_not_hide_it() {
    for authority in [
        "a.example:80:80",
        "a.example:",
        "a.example:80@b.example",
        "a.example:\u{e4}",
    ] {
        assert!(host_fits("a.example", authority), "{authority}");
    }
    assert!(host_fits("[::1]", "[::1]x"));
}

#[test]
fn only_the_plain_spelling_of_a_host_is_certain() {
    for authority in ["api.example", "api.example:443"] {
        assert_eq!(host_fit("api.example", authority), Fit::Certain);
    }
    for authority in [
        "API.example",
        "api.example.",
        "x@api.example",
        "api.example:80:80",
    ] {
        assert_eq!(
            host_fit("api.example", authority),
            Fit::Possible,
            "{authority}"
        );
    }
}

#[test]
fn one_line_of_a_header_is_enough_to_fit_possibly() {
    let request: [(&str, &[u8]); 4] = [
        ("x", b"one"),
        ("y", b"1, 2"),
        ("x", b"two\xff"),
        ("a_b", b"1"),
    ];
    let header = |condition: &str| fit(&format!(r#"{{"headers": [{condition}]}}"#), &request);
    assert_eq!(header(r#"{"name": "x", "exact": "one"}"#), Fit::Possible);
    assert_eq!(header(r#"{"name": "X", "prefix": "two"}"#), Fit::Possible);
    assert_eq!(
        header(r#"{"name": "x", "regex": "tw.\\xff"}"#),
        Fit::Possible
    );
    assert_eq!(header(r#"{"name": "x", "exact": "two"}"#), Fit::No);
    assert_eq!(header(r#"{"name": "x", "regex": "on"}"#), Fit::No);
    assert_eq!(header(r#"{"name": "y", "exact": "1"}"#), Fit::No);
    assert_eq!(header(r#"{"name": "y", "exact": "1, 2"}"#), Fit::Certain);
    assert_eq!(header(r#"{"name": "z", "prefix": ""}"#), Fit::No);
    assert_eq!(header(r#"{"name": "y", "present": true}"#), Fit::Certain);
    assert_eq!(header(r#"{"name": "y", "present": false}"#), Fit::No);
    assert_eq!(header(r#"{"name": "z", "present": false}"#), Fit::Certain);
    // As CGI and WSGI read names.
    assert_eq!(header(r#"{"name": "a-b", "exact": "1"}"#), Fit::Possible);
    assert_eq!(
        header(r#"{"name": "a-b", "present": false}"#),
        Fit::Possible
    );
}

#[test]
fn only_a_rule_with_a_route_needs_its_name() {
    assert!(rule(r#"{"route": "shop"}"#).needs_route());
    assert!(!rule("{}").needs_route());
    assert!(!fits(r#"{"route": ""}"#, &[]));
}

#[test]
fn a_regex_fits_the_whole_text() {
    let regex = |regex: &str, path: &str| path_fits(&format!(r#"{{"regex": {regex:?}}}"#), path);
    assert!(regex("/a|/ab", "/ab"));
    assert!(regex("^/a$", "/a"));
    assert!(!regex("/a", "/ab"));
    assert!(!regex("a", "/a"));
    assert!(!regex("", "/"));
    assert!(regex("/(?i)admin", "/ADmin"));
    assert!(regex(r"/v[0-9]{1,3}/\w+/\d+", "/v12/item_s/7"));
    assert!(!regex(r"/v[0-9]{1,3}", "/v1234"));
    assert!(regex(r"/a\sb", "/a%20b"));
    assert!(regex(r"/\ba\b.*", "/a-b"));
    assert!(regex("/(é|x)+", "/%C3%A9x"));
    assert!(regex("/[^x]+", "/%C3%A9"));
    assert!(regex("/a.*?b", "/a/b/b"));
    let uuid = "/(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/.{1,200})?";
    assert!(regex(uuid, "/0123ABCD-4567-89ab-cdef-0123456789ab/x"));
}

#[test]
fn an_encoded_control_makes_every_path_possible() {
    for (regex, path) in [
        ("/admin/.*", "/admin/%0ax"),
        ("/admin", "/admin%0a"),
        ("/public/.*$", "/admin/%0a/public/"),
    ] {
        let json = format!(r#"{{"regex": {regex:?}}}"#);
        assert_eq!(path_fit(&json, path), Fit::Possible, "{regex} {path}");
    }
}
