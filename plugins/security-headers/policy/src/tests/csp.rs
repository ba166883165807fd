use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn csp(directives: Value) -> Value {
    json!({"preset": "none", "csp": {"directives": directives}})
}

fn is_source(source: &str) -> bool {
    errors(&csp(json!({"script-src": [source]}))).is_empty()
}

#[test]
fn a_policy_is_written_as_configured() {
    let config = csp(json!({
        "default-src": ["'none'"],
        "img-src": ["*", "data:"],
        "script-src": ["'self'", "'strict-dynamic'", "https://cdn.example:8443/js/"],
        "frame-ancestors": ["'self'", "https:", "*.example"],
        "sandbox": ["allow-scripts"],
        "report-to": ["csp"],
        "report-uri": ["/csp", "https://reports.example/?a=b"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["default", "'allow-duplicates'"],
        "webrtc": ["'block'"],
        "upgrade-insecure-requests": [],
    }));
    // serde_json sorts the members of objects; another test covers their order.
    assert_eq!(
        one(
            &respond(&config, HeaderMap::default()),
            "content-security-policy"
        )
        .unwrap(),
        "default-src 'none'; frame-ancestors 'self' https: *.example; img-src * data:; \
         report-to csp; report-uri /csp https://reports.example/?a=b; \
         require-trusted-types-for 'script'; sandbox allow-scripts; \
         script-src 'self' 'strict-dynamic' https://cdn.example:8443/js/; \
         trusted-types default 'allow-duplicates'; upgrade-insecure-requests; webrtc 'block'"
    );
}

#[test]
fn directives_keep_their_order() {
    let text = r#"{"csp": {"directives": {"script-src": ["'self'"], "default-src": ["'none'"]}}}"#;
    let policy = SecurityHeaders::new(config::read(text.as_bytes()).unwrap());
    let mut response = HeaderMap::default();
    policy.on_response(&Selection::default(), None, false, &mut response);
    assert_eq!(
        one(&response, "content-security-policy").as_deref(),
        Some("script-src 'self'; default-src 'none'")
    );
}

#[test]
fn sources_that_browsers_understand_are_accepted() {
    for source in [
        "'self'",
        "'none'",
        "'unsafe-inline'",
        "'wasm-unsafe-eval'",
        "'nonce'",
        "*",
        "*:*",
        "https:",
        "data:",
        "wss:",
        "web+app:",
        "example",
        "localhost:3000",
        "*.example",
        "*.example:*",
        "a_b.example",
        "example.",
        "127.0.0.1",
        "https://*",
        "https://*.example:443/a/b.js",
        "example/a%20b/",
        "xn--bcher-kva.example",
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        "'sha256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU='",
        "'sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb'",
        "'sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=='",
    ] {
        assert!(is_source(source), "{source}");
    }
}

#[test]
fn sources_that_browsers_would_ignore_are_refused() {
    for source in [
        "",
        " ",
        "a b",
        "a;b",
        "a,b",
        "a\nb",
        "a\tb",
        "\u{7f}",
        "b\u{fc}cher.example",
        "self",
        "None",
        "unsafe-inline",
        "nonce",
        "nonce-abc",
        "sha256-abc",
        "'nonce-abc'",
        "'self",
        "self'",
        "\"self\"",
        "'unsafe'",
        "'Self'",
        "'unsafe-inline'x",
        "'sha256-abc'",
        "'sha1-abc'",
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'",
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu=U='",
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUx'",
        "'sha384-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        "://x",
        "https://",
        "https:///x",
        "1http://x",
        "x:port",
        "x:0",
        "x:65536",
        "x:+80",
        "x:",
        "x:80:80",
        "a..b",
        "*.*.example",
        "a.*.example",
        "*example",
        "[::1]",
        "user@example",
        "/path",
        "example?q",
        "example/a?q",
        "example/a#f",
        "example/'a'",
        ".",
    ] {
        // "x:" is a scheme.
        assert_eq!(is_source(source), source == "x:", "{source}");
    }
}

#[test]
fn errors_suggest_what_was_meant() {
    let error = |directive: &str, source: &str| errors(&csp(json!({directive: [source]})));
    assert_eq!(
        error("script-src", "self"),
        "$.csp.directives.script-src[0]: found \"self\"; expected \"'self'\": keywords, nonces and \
         hashes need single quotes"
    );
    assert_eq!(
        error("img-src", "'nonce'"),
        "$.csp.directives.img-src[0]: found \"'nonce'\"; expected another source: a nonce has \
         no effect here, only in default-src, script-src, script-src-elem, style-src, style-src-elem"
    );
    assert!(error("script-src", "'nonce-abc'").contains("a constant nonce protects"));
    assert!(error("script-src", "'unsafe'").contains("'unsafe-inline'"));
    assert!(error("frame-ancestors", "'unsafe-inline'").contains("nothing else can frame"));
    assert!(error("script-src", "'sha256-x'").contains("44 characters"));
    assert!(error("sandbox", "allow-all").contains("allow-forms, "));
    assert!(error("webrtc", "block").contains("'allow', 'block'"));
    assert!(error("require-trusted-types-for", "script").contains("'script'"));
    assert!(error("trusted-types", "a'b").contains("'allow-duplicates'"));
    assert!(error("upgrade-insecure-requests", "x").contains("an empty list"));
    assert!(error("script-source", "x").starts_with(
        "$.csp.directives.script-source: unknown directive; allowed: base-uri, child-src, "
    ));
}

#[test]
fn lists_have_the_items_that_they_need() {
    let error = |directive: &str, items: &[&str]| errors(&csp(json!({directive: items})));
    assert_eq!(
        error("script-src", &[]),
        "$.csp.directives.script-src: found an empty list; expected [\"'none'\"] to allow nothing"
    );
    for (directive, items) in [
        ("report-to", &[][..]),
        ("report-to", &["a", "b"]),
        ("frame-ancestors", &[]),
        ("trusted-types", &["'none'", "x"]),
        ("script-src", &["'none'", "'self'"]),
        ("frame-ancestors", &["https:", "'none'"]),
    ] {
        assert!(!error(directive, items).is_empty(), "{directive} {items:?}");
    }
    assert_eq!(error("sandbox", &[]), "");
    assert_eq!(error("upgrade-insecure-requests", &[]), "");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = errors(&csp(json!({
        "default-src": ["self", "'none'"], "img": ["*"], "script-src": ["a b", "'self'", "none"]})));
    let paths: Vec<_> = found
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "$.csp.directives.default-src[0]",
            "$.csp.directives.img",
            "$.csp.directives.script-src[0]",
            "$.csp.directives.script-src[2]",
        ]
    );
}

fn any_source() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'", "self", "none", "nonce", "nonce-", "sha256-", "*", "*.", ":", "://", "/", ".",
        "https", "example", "443", ";", ",", " ", "=", "?", "\u{e9}", "\n",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    /// No source can end its directive, its policy or the header, or add another source.
    #[test]
    fn a_policy_says_what_was_configured(
        directive in prop::sample::select(vec!["script-src", "frame-ancestors", "trusted-types",
            "report-to", "report-uri", "sandbox", "img-src"]),
        items in prop::collection::vec(any_source(), 1..4),
    ) {
        let config = csp(json!({directive: items, "base-uri": ["'none'"]}));
        let Ok(policy) = try_policy(&config) else {
            return Ok(());
        };
        let rule = &Selection::default();
        let nonce = policy.on_request(rule, &mut HeaderMap::default(), Some(RANDOM)).nonce;
        let mut response = HeaderMap::default();
        policy.on_response(rule, nonce.as_ref(), false, &mut response);
        let value = one(&response, "content-security-policy").unwrap();

        prop_assert!(value.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b','));
        let expected: Vec<String> = items.iter().map(|item| match item.as_str() {
            "'nonce'" => format!("'nonce-{}'", nonce_text(nonce.as_ref().unwrap())),
            item => item.to_owned(),
        }).collect();
        let mut found = value.split("; ").filter_map(|found| found.strip_prefix(directive));
        prop_assert_eq!(found.next().unwrap().split(' ').skip(1).collect::<Vec<_>>(), expected);
        prop_assert_eq!(value.split(';').count(), 2);
    }
}
