use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// One line of `Set-Cookie` after the policy.
fn cookie(config: &Value, line: &'static str) -> String {
    let config = json!({"preset": "none", "cookies": config});
    one(
        &respond(&config, message([("set-cookie", line)])),
        "set-cookie",
    )
    .unwrap()
}

#[test]
fn attributes_are_added_when_they_are_missing() {
    let config = json!({"secure": true, "http_only": true, "same_site": "Lax"});
    for (line, expected) in [
        ("a=b", "a=b; Secure; HttpOnly; SameSite=Lax"),
        ("a=b; Path=/", "a=b; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ("a=b; sECURE", "a=b; sECURE; HttpOnly; SameSite=Lax"),
        ("a=b;httponly", "a=b;httponly; Secure; SameSite=Lax"),
        (
            "a=b ;\tHttpOnly\t; secure=yes",
            "a=b ;\tHttpOnly\t; secure=yes; SameSite=Lax",
        ),
        (
            "a=b; samesite = strict ",
            "a=b; samesite = strict ; Secure; HttpOnly",
        ),
        // The upstream's own value stays, even one that browsers treat as the default.
        ("a=b; SameSite=x", "a=b; SameSite=x; Secure; HttpOnly"),
        ("a=b; SameSite", "a=b; SameSite; Secure; HttpOnly"),
        // These are parts of name and value, not attributes.
        (
            "secure=httponly",
            "secure=httponly; Secure; HttpOnly; SameSite=Lax",
        ),
        ("secure", "secure; Secure; HttpOnly; SameSite=Lax"),
        (
            "a=samesite=none",
            "a=samesite=none; Secure; HttpOnly; SameSite=Lax",
        ),
        ("", "; Secure; HttpOnly; SameSite=Lax"),
    ] {
        assert_eq!(cookie(&config, line), expected);
    }
}

#[test]
fn only_what_is_configured_is_added() {
    assert_eq!(cookie(&json!({}), "a=b"), "a=b");
    assert_eq!(cookie(&json!({"secure": true}), "a=b"), "a=b; Secure");
    assert_eq!(cookie(&json!({"http_only": true}), "a=b"), "a=b; HttpOnly");
    assert_eq!(
        cookie(&json!({"same_site": "Strict"}), "a=b"),
        "a=b; SameSite=Strict"
    );
}

#[test]
fn browsers_refuse_same_site_none_without_secure() {
    for line in [
        "a=b; SameSite=None",
        "a=b; samesite=NONE",
        "a=b; SameSite=Lax; SameSite= none ",
    ] {
        assert_eq!(cookie(&json!({}), line), format!("{line}; Secure"));
    }
    // The last one applies.
    let line = "a=b; SameSite=None; SameSite=Lax";
    assert_eq!(cookie(&json!({}), line), line);
    assert_eq!(
        cookie(&json!({"same_site": "None"}), "a=b"),
        "a=b; Secure; SameSite=None"
    );
}

#[test]
fn cookies_get_the_attributes_that_browsers_require() {
    for line in [
        "__Secure-a=b",
        "__Host-a=b; Path=/",
        " __secure-a =b",
        "part=1; Partitioned",
        "part=1; partitioned ; SameSite=Lax",
        "__Http-a=b; HttpOnly",
        // A path or domain of the upstream stays.
        "__Host-a=b; Path=/x",
        "__Host-a=b; path",
    ] {
        assert_eq!(cookie(&json!({}), line), format!("{line}; Secure"));
    }
    for line in [
        "__HOST-a=b",
        "__Host-a",
        "=__Host-a",
        "__Host-a=b; Domain=a.example",
    ] {
        assert_eq!(cookie(&json!({}), line), format!("{line}; Secure; Path=/"));
    }
    for line in [
        "__Http-a=1",
        "__http-a=1",
        "__Http-",
        "__Host-Http-b=1; Path=/",
    ] {
        assert_eq!(
            cookie(&json!({}), line),
            format!("{line}; Secure; HttpOnly")
        );
    }
    assert_eq!(
        cookie(&json!({"same_site": "Lax"}), "__HOST-HTTP-a=b"),
        "__HOST-HTTP-a=b; Secure; HttpOnly; Path=/; SameSite=Lax"
    );
    for line in [
        "__Host-a=b; Secure; Path=/",
        "__Host=b",
        "__Http=b",
        "Partitioned=1",
        "a=Partitioned",
        "__HostHttp-a=b",
        "a=__Host-",
        "x__Secure-a=b",
    ] {
        assert_eq!(cookie(&json!({}), line), line);
    }
}

#[test]
fn excepted_cookies_stay_as_they_are() {
    let config = json!({"secure": true, "except": ["csrftoken", "__Host-x"]});
    for line in ["csrftoken=1", " csrftoken\t=1; SameSite=None", "__Host-x=1"] {
        assert_eq!(cookie(&config, line), line);
    }
    for line in ["CSRFToken=1", "csrftoken2=1", "csrftoken", "a=csrftoken"] {
        assert_eq!(cookie(&config, line), format!("{line}; Secure"));
    }
}

#[test]
fn lines_stay_apart_and_are_counted() {
    let policy = policy(&json!({"preset": "none", "cookies": {"secure": true}}));
    let mut response = message([
        ("set-cookie", "a=1"),
        ("vary", "x"),
        ("set-cookie", "b=2; Secure"),
        ("set-cookie", "a=1"),
    ]);
    let outcome = policy.on_response(&Selection::default(), None, false, &mut response);
    assert_eq!(outcome.cookies_rewritten, 2);
    assert_eq!(
        all(&response, "set-cookie"),
        ["a=1; Secure", "b=2; Secure", "a=1; Secure"]
    );
    assert_eq!(all(&response, "vary"), ["x"]);
}

#[test]
fn nothing_to_add_is_no_change() {
    let config = json!({"preset": "none", "cookies": {"secure": true}});
    for response in [
        HeaderMap::default(),
        message([("set-cookie", "a=1; Secure"), ("set-cookie", "b; secure")]),
    ] {
        assert!(!respond(&config, response).is_changed());
    }
}

fn any_config() -> impl Strategy<Value = Value> {
    let same_site = prop::sample::select(vec![
        Value::Null,
        "Strict".into(),
        "Lax".into(),
        "None".into(),
    ]);
    (any::<bool>(), any::<bool>(), same_site).prop_map(|(secure, http_only, same_site)| {
        json!({"preset": "none", "cookies": {"secure": secure, "http_only": http_only,
            "same_site": same_site, "except": ["plain"]}})
    })
}

/// Bytes that sometimes look like cookies.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"; "[..],
            b";",
            b"=",
            b" ",
            b"a",
            b"plain",
            b"__Host-",
            b"Http-",
            b"__",
            b"Path=",
            b"Partitioned",
            b"Secure",
            b"httponly",
            b"SameSite",
            b"None",
            b"lax",
            b"\xff",
            b"\"",
            b",",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn rewritten(config: &Value, lines: &[Vec<u8>]) -> Vec<Bytes> {
    let entries = lines
        .iter()
        .map(|line| ("set-cookie".into(), line.clone().into()));
    let response = respond(config, HeaderMap::new(entries.collect()));
    response.get_all("set-cookie").cloned().collect()
}

/// The number of times that an attribute occurs, by the simplest parser.
fn attributes(line: &[u8], name: &str) -> usize {
    let text = String::from_utf8_lossy(line).to_ascii_lowercase();
    text.split(';')
        .skip(1)
        .filter(|part| {
            let attribute = part.split('=').next().unwrap_or_default();
            attribute.trim_matches([' ', '\t']) == name
        })
        .count()
}

proptest! {
    #[test]
    fn no_cookie_is_lost_doubled_or_moved(
        config in any_config(),
        lines in prop::collection::vec(any_line(), 0..5),
    ) {
        let after = rewritten(&config, &lines);
        prop_assert_eq!(after.len(), lines.len());
        for (before, after) in lines.iter().zip(&after) {
            prop_assert!(after.starts_with(before));
            for name in ["secure", "httponly", "path", "samesite"] {
                let (before, after) = (attributes(before, name), attributes(after, name));
                prop_assert!(after == before || (before == 0 && after == 1), "{}", name);
            }
        }
    }

    #[test]
    fn what_is_configured_is_there(config in any_config(), line in any_line()) {
        let after = &rewritten(&config, std::slice::from_ref(&line))[0];
        let name = line.split(|byte| *byte == b';' || *byte == b'=').next().unwrap_or_default();
        if !name.windows(5).any(|window| window == b"plain") {
            for (field, attribute) in
                [("secure", "secure"), ("http_only", "httponly")]
            {
                if config["cookies"][field] == true {
                    prop_assert!(attributes(after, attribute) > 0, "{}", after.escape_ascii());
                }
            }
            if !config["cookies"]["same_site"].is_null() {
                prop_assert!(attributes(after, "samesite") > 0, "{}", after.escape_ascii());
            }
        }
    }

    #[test]
    fn a_second_pass_adds_nothing(config in any_config(), line in any_line()) {
        let once = rewritten(&config, &[line]);
        let twice = rewritten(&config, &[once[0].to_vec()]);
        prop_assert_eq!(once, twice);
    }
}
