//! Requests with several readings.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use portcullis_core::readings::path::Paths;
use portcullis_core::readings::path::servers::{self, target};

#[test]
fn no_spelling_reaches_a_rule_of_another_path() {
    let mut config = one_provider(json!({}));
    config["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "admin", "match": {"path": {"prefix": "/admin/"}},
         "require": {"provider": "corp"}, "scopes": ["admin"]},
        {"name": "rest", "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let bearer = format!("Bearer {}", token(json!({})));
    let mut verdict = |path: &str| world.verdict(&[(":path", path), ("authorization", &bearer)]);
    for path in [
        "/admin/..;/public/x",
        "/admin/..;/x",
        "/public/..;/admin/x",
        "/public/..%2fadmin/x",
        "/public/..%2Fadmin/x",
        "/public/..%5cadmin/x",
        r"/public/..\admin/x",
        r"/public\x",
        r"/public\",
        "/public%2f../admin/x",
        "/admin/x/..;a=%2f../../public/",
        "/public/;/../admin/x",
        "/admin//../public/x",
        "/admin//%2e%2E/public/x",
    ] {
        assert_eq!(verdict(path), refused(Reason::AmbiguousPath), "{path}");
    }
    for path in [
        "/public/a;v=1/b%2fc",
        r"/public/a\b",
        "/public/x?a=;/%2f//..",
        "/public//x",
        "/public/x/../y",
        "/public/%61%3b",
    ] {
        assert_eq!(
            verdict(path),
            Verdict::Admitted(AdmitReason::NotRequired),
            "{path}"
        );
    }
    for path in ["/shop/@scope%2fname", "/shop;jsessionid=1"] {
        assert_eq!(verdict(path), VERIFIED, "{path}");
    }
    assert_eq!(verdict("/admin/a%2fb;c"), refused(Reason::Scope));
}

fn public_and_rest() -> World {
    let mut config = one_provider(json!({}));
    config["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "rest", "require": {"provider": "corp"}},
    ]);
    World::new(config)
}

/// Case A1.
#[test]
fn a_path_that_some_server_resolves_is_ambiguous() {
    let mut world = public_and_rest();
    for path in [
        "/admin/../public/x",
        "/admin/%2e%2e/public/x",
        "/account/../public/",
        "/admin/./../public/x",
        "/admin/%252e%252e/public/x",
        "/admin/..%252fpublic/x",
        "/x/../public/..%2f..",
        "//public/x",
        "//host/public/x",
        "/%70ublic/x",
        "/public%2fx",
        "/public%3b/x",
        "/public/../x",
        "/public/%2e%2e/x",
        "/public/%c0%ae%c0%ae/x",
        "/public/..%00/x",
        "/public/%25252e%25252e/x",
        "/public/%u002e%u002e/x",
        "/public/..\u{ff0f}x#",
    ] {
        let found = world.verdict(&[(":path", path)]);
        assert_eq!(found, refused(Reason::AmbiguousPath), "{path}");
    }
}

#[test]
fn with_strictest_an_ambiguous_path_must_meet_each_rule() {
    let mut config = one_provider(json!({}));
    config["ambiguous"] = json!("strictest");
    config["rules"] = json!([
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"},
        {"name": "admin", "match": {"path": {"prefix": "/admin/"}},
         "require": {"provider": "corp"}, "scopes": ["admin"]},
        {"name": "rest", "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let bearer = format!("Bearer {}", token(json!({})));
    let path = (":path", "/x/../public/");
    assert_eq!(world.verdict(&[path]), refused(Reason::NoToken));
    assert_eq!(world.verdict(&[path, ("authorization", &bearer)]), VERIFIED);
    let path = (":path", "/admin/../public/");
    let found = world.verdict(&[path, ("authorization", &bearer)]);
    assert_eq!(found, refused(Reason::Scope));
}

/// Some servers ignore letter case and a final slash (Express), or the case of a method (case A8, werkzeug).
#[test]
fn differences_that_some_servers_ignore_open_nothing() {
    let mut config = one_provider(json!({}));
    config["rules"] = json!([
        {"name": "admin", "match": {"path": {"prefix": "/admin/"}},
         "require": {"provider": "corp"}, "scopes": ["admin"]},
        {"name": "exact", "match": {"path": {"exact": "/login"}}, "require": {"provider": "corp"}},
        {"name": "regex", "match": {"path": {"regex": "/v[0-9]/keys"}}, "require": {"provider": "corp"}},
        {"name": "posts", "match": {"methods": ["POST"]}, "require": {"provider": "corp"}},
        {"name": "rest", "require": "none"},
    ]);
    let mut world = World::new(config);
    for path in [
        "/ADMIN/x",
        "/Admin/",
        "/admin",
        "/ADMIN",
        "/login/",
        "/LOGIN",
        "/Login/",
        "/v1/KEYS",
        "/V1/keys/",
    ] {
        assert_eq!(
            world.verdict(&[(":path", path)]),
            refused(Reason::NoToken),
            "{path}"
        );
    }
    for method in ["POST", "post", "Post"] {
        let found = world.verdict(&[(":path", "/"), (":method", method)]);
        assert_eq!(found, refused(Reason::NoToken), "{method}");
    }
    for path in ["/administrator", "/log", "/v1/key", "/v12/keys"] {
        let found = world.verdict(&[(":path", path)]);
        assert_eq!(found, Verdict::Admitted(AdmitReason::NotRequired), "{path}");
    }
    let bearer = format!("Bearer {}", token(json!({})));
    let found = world.verdict(&[(":path", "/ADMIN/x"), ("authorization", &bearer)]);
    assert_eq!(found, refused(Reason::Scope));
}

/// The configuration names both spellings, so each rule applies to its own.
#[test]
fn rules_that_differ_in_case_or_a_final_slash_are_kept_apart() {
    let mut config = one_provider(json!({}));
    config["rules"] = json!([
        {"name": "docs", "match": {"path": {"prefix": "/docs/"}}, "require": {"provider": "corp"}},
        {"name": "Docs", "match": {"path": {"prefix": "/Docs/"}}, "require": "none"},
        {"name": "home", "match": {"path": {"exact": "/docs"}}, "require": "none"},
        {"name": "rest", "require": {"provider": "corp"}},
    ]);
    let mut world = World::new(config);
    let open = Verdict::Admitted(AdmitReason::NotRequired);
    assert_eq!(world.verdict(&[(":path", "/Docs/x")]), open);
    assert_eq!(world.verdict(&[(":path", "/docs")]), open);
    assert_eq!(
        world.verdict(&[(":path", "/docs/x")]),
        refused(Reason::NoToken)
    );
    assert_eq!(
        world.verdict(&[(":path", "/DOCS/x")]),
        refused(Reason::NoToken)
    );
}

proptest! {
    /// With any rules, a request that passes without a token also passes under the path that the server reads.
    #[test]
    fn no_spelling_is_treated_more_mildly_than_the_path_that_a_server_reads(
        target in target(),
        rules in prop::collection::vec((
            prop::sample::select(vec!["/", "/a", "/admin", "/admin/", "/public/", "/a/public/", "/v/"]),
            any::<bool>(),
        ), 0..4),
        default: bool,
        strictest: bool,
    ) {
        let mut config = one_provider(json!({}));
        let require = |open: bool| match open {
            true => json!("none"),
            false => json!({"provider": "corp"}),
        };
        let mut list: Vec<_> = rules.iter().enumerate().map(|(i, (prefix, open))| json!({
            "name": format!("r{i}"), "match": {"path": {"prefix": prefix}}, "require": require(*open),
        })).collect();
        list.push(json!({"name": "rest", "require": require(default)}));
        config["rules"] = json!(list);
        config["ambiguous"] = json!(if strictest { "strictest" } else { "deny" });
        let mut world = World::new(config);
        let mut passes = |path: &str| {
            matches!(world.verdict(&[(":path", path)]), Verdict::Admitted(_))
        };
        if passes(&target) {
            for (server, read) in servers::ALL {
                let path = read(&target);
                let is_plain = Paths::of(path.as_bytes()).is_some_and(|it| it.only() == Some(path.as_bytes()));
                prop_assert!(!is_plain || passes(&path), "{} read by {} as {}", target, server, path);
            }
        }
    }
}
