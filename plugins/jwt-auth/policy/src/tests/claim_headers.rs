//! Claims in headers.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn header_of(claim: Value) -> Option<String> {
    let mut world = World::new(one_provider(
        json!({"claims_to_headers": {"X-Claim": "realm.c"}}),
    ));
    let outcome = world.bearer(&token(json!({"realm": {"c": claim}})));
    assert_eq!(outcome.decision.verdict(), VERIFIED);
    outcome.line("x-claim")
}

#[test]
fn claims_become_text() {
    for (claim, expected) in [
        (json!("ada"), Some("ada")),
        (json!("Jürgen"), Some("Jürgen")),
        (json!("Doe, John"), Some("Doe, John")),
        (json!("[x"), Some("[x")),
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
        (json!(["ops ", "sre"]), Some(r#"["ops ","sre"]"#)),
        (json!(["\n"]), Some(r#"["\n"]"#)),
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
fn a_claim_that_a_header_cannot_carry_is_refused() {
    let mut world = World::new(one_provider(json!({"claims_to_headers": {"x-claim": "c"}})));
    for claim in [
        json!(" ada"),
        json!("ada\n"),
        json!("ada\t"),
        json!("a\u{0}da"),
        json!("a\u{7f}da"),
        json!("ada\u{85}"),
        json!("\u{a0}ada"),
        json!("ada\u{2028}"),
        json!("\u{feff}ada"),
        json!(" "),
        json!("ops,sre"),
        json!("[]"),
        json!(r#"{"a":1}"#),
        json!(["a\u{7f}", 1]),
        json!({"a": "\u{9f}"}),
    ] {
        let token = token(json!({ "c": claim }));
        // First verified, then from the cache.
        for path in [Verification::Host, Verification::Cache] {
            let outcome = world.bearer(&token);
            assert_eq!(
                outcome.decision.verdict(),
                refused(Reason::ClaimHeader),
                "{claim}"
            );
            assert_eq!(outcome.decision.verifications(), [path]);
            assert_eq!(outcome.status(), Some(403));
            assert_eq!(outcome.challenge(), None);
            assert!(!outcome.decision.detail().is_empty());
        }
    }
}

#[test]
fn a_refused_claim_in_shadow_mode_sets_no_header() {
    let mut config = one_provider(json!({"claims_to_headers": {"x-user": "sub"}}));
    config["mode"] = json!("shadow");
    let mut world = World::new(config);
    let bearer = format!("Bearer {}", token(json!({"sub": "admin\n"})));
    let outcome = world.send(&[("authorization", &bearer), ("x_user", "admin")]);
    assert_eq!(
        outcome.decision.verdict(),
        Verdict::ShadowRefused(Reason::ClaimHeader)
    );
    assert_eq!(outcome.line("x-user"), None);
    assert_eq!(outcome.line("x_user"), None);
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::super::super::claim_value;
    use super::*;

    fn claims() -> impl Strategy<Value = Value> {
        let text = "[a,\\[\\]\" \u{a0}\u{85}\n1]{0,5}".prop_map(Value::from);
        let leaf = prop_oneof![4 => text, 1 => Just(json!(null)), 1 => Just(json!({"a": 1}))];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(Value::from)
        })
    }

    /// An array with one string gives the same header as that string.
    fn meaning(claim: &Value) -> Value {
        match claim {
            Value::Array(items) => match items.as_slice() {
                [Value::String(text)] => json!(text),
                _ => claim.clone(),
            },
            _ => claim.clone(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn two_claims_never_become_one_value(one in claims(), other in claims()) {
            prop_assume!(meaning(&one) != meaning(&other));
            if let (Ok(Some(one)), Ok(Some(other))) = (claim_value::of(&one), claim_value::of(&other)) {
                let trimmed = |value: &[u8]| {
                    let text = String::from_utf8(value.to_vec()).unwrap();
                    text.trim().to_owned()
                };
                prop_assert_ne!(trimmed(&one), trimmed(&other));
            }
        }
    }
}

#[test]
fn the_payload_is_forwarded_without_changes() {
    let mut world = World::new(one_provider(
        json!({"forward_payload_header": "x-jwt-payload"}),
    ));
    let token = token(json!({}));
    let outcome = world.bearer(&token);
    assert_eq!(
        outcome.line("x-jwt-payload").as_deref(),
        token.split('.').nth(1)
    );
}

#[test]
fn claim_headers_from_clients_are_removed_on_every_path() {
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
        ("x_user", "root"),
        ("x.jwt_payload", "e30"),
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
        let outcome = world.send(&headers);
        assert!(outcome.reply.is_none(), "{path}");
        for (name, _) in forged {
            assert_eq!(outcome.line(name), None, "{path} {name}");
        }
    }
    let bearer = format!("Bearer {}", token(json!({})));
    let headers = [
        &[(":path", "/closed/"), ("authorization", &bearer)],
        &forged[..],
    ]
    .concat();
    let outcome = world.send(&headers);
    assert_eq!(outcome.line("x-user").as_deref(), Some("ada"));
    assert_eq!(outcome.line("x-groups"), None);
}
