//! Claims in headers.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn header_of(claim: Value) -> Option<String> {
    let mut world = World::new(one_provider(
        json!({"claims_to_headers": {"X-Claim": "realm.c"}}),
    ));
    let passage = world.bearer(&token(json!({"realm": {"c": claim}})));
    assert_eq!(passage.decision.verdict(), VERIFIED);
    passage.line("x-claim")
}

#[test]
fn claims_become_text() {
    for (claim, expected) in [
        (json!("ada"), Some("ada")),
        (json!("Jürgen"), Some("Jürgen")),
        (json!(" ada\t"), Some("ada")),
        (json!("ad\r\nx-admin: 1"), Some("ad  x-admin: 1")),
        (json!("a\u{0}d\u{7f}a"), Some("a d a")),
        (json!("\r\n"), None),
        (json!(""), None),
        (json!(null), None),
        (json!(5), Some("5")),
        (json!(-1.5), Some("-1.5")),
        (
            json!(18_446_744_073_709_551_615_u64),
            Some("18446744073709551615"),
        ),
        (json!(true), Some("true")),
        (json!(["ops", "sre"]), Some("ops,sre")),
        (json!(["ops"]), Some("ops")),
        (json!(["a,b", "c"]), Some(r#"["a,b","c"]"#)),
        (json!(["[\"x\"]"]), Some(r#"["[\"x\"]"]"#)),
        (json!(["a", ""]), Some(r#"["a",""]"#)),
        (json!(["a", 1]), Some(r#"["a",1]"#)),
        (json!({"b": 1, "a": [2]}), Some(r#"{"a":[2],"b":1}"#)),
    ] {
        assert_eq!(header_of(claim.clone()).as_deref(), expected, "{claim}");
    }
    assert_eq!(header_of(json!([])), None);
}

#[test]
fn the_payload_is_handed_over_as_it_came() {
    let mut world = World::new(one_provider(
        json!({"forward_payload_header": "x-jwt-payload"}),
    ));
    let token = token(json!({}));
    let passage = world.bearer(&token);
    assert_eq!(
        passage.line("x-jwt-payload").as_deref(),
        token.split('.').nth(1)
    );
}

#[test]
fn what_clients_send_in_these_headers_is_gone_on_every_path() {
    let mut config = one_provider(json!({
        "claims_to_headers": {"x-user": "sub", "x-groups": "groups"},
        "forward_payload_header": "x-jwt-payload",
    }));
    config["unmatched"] = json!("allow");
    config["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "optional", "match": {"path": {"prefix": "/optional/"}},
         "require": {"provider": "corp"}, "allow_missing": true},
        {"name": "shadow", "match": {"path": {"prefix": "/shadow/"}},
         "require": {"provider": "corp"}, "mode": "shadow"},
        {"name": "closed", "match": {"path": {"prefix": "/closed/"}}, "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let forged = [
        ("x-user", "root"),
        ("x-user", "eve"),
        ("x-groups", "admin"),
        ("x-jwt-payload", "e30"),
    ];
    let preflight = [
        (":method", "OPTIONS"),
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    for (path, more) in [
        ("/public/", &[][..]),
        ("/optional/", &[]),
        ("/shadow/", &[]),
        ("/elsewhere", &[]),
        ("/closed/", &preflight),
    ] {
        let headers = [&[(":path", path)], &forged[..], more].concat();
        let passage = world.send(&headers);
        assert!(passage.reply.is_none(), "{path}");
        for (name, _) in forged {
            assert_eq!(passage.line(name), None, "{path} {name}");
        }
    }
    let bearer = format!("Bearer {}", token(json!({})));
    let headers = [
        &[(":path", "/closed/"), ("authorization", &bearer)],
        &forged[..],
    ]
    .concat();
    let passage = world.send(&headers);
    assert_eq!(passage.line("x-user").as_deref(), Some("ada"));
    assert_eq!(passage.line("x-groups"), None);
}
