//! Paths that servers read in different ways.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::jwt_auth::readings;
use crate::matcher::CanonicalPath;

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
            Verdict::Admitted(Grounds::NotRequired),
            "{path}"
        );
    }
    for path in ["/shop/@scope%2fname", "/shop;jsessionid=1"] {
        assert_eq!(verdict(path), VERIFIED, "{path}");
    }
    assert_eq!(verdict("/admin/a%2fb;c"), refused(Reason::Scope));
}

proptest! {
    /// Such paths are not read in other ways at all.
    #[test]
    fn a_path_in_canonical_form_has_no_other_readings(path in "(/|//|\\.|%2f|%2E|;|\\\\|\\?|#|a){0,8}") {
        let target = format!("/{path}");
        let canonical = CanonicalPath::new(target.as_bytes());
        if canonical.is_some_and(|path| path.is_as_written()) {
            prop_assert_eq!(readings::others(target.as_bytes()), Vec::<Vec<u8>>::new());
        }
    }
}
